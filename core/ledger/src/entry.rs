//! Double entry (BILL-48): each posting moves an amount between an account and the book of its
//! kind, so that all accounts and all books together always sum to zero.

use crate::Money;

/// Money moved by a call or by an operator: append-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The account.
    pub account: u32,
    /// Added to the account and subtracted from the book: charges are negative.
    pub amount: Money,
    /// The reason, which selects the book.
    pub kind: PostingKind,
}

/// Kinds of posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostingKind {
    /// Our revenue from a call: the charge of the account, or of the highest reseller above it.
    CallCharge,
    /// A reseller's revenue from a call, paid by the account or the reseller below it.
    Resale,
    /// Buy cost of an attempt, booked to the vendor account.
    VendorCost,
    /// Balance set by configuration.
    Opening,
    /// Payment in.
    Payment,
    /// The amount missing from a [`PostingKind::CallCharge`] when its call ended, booked when the
    /// call was rated again (BILL-73).
    Correction,
    /// The same correction for a [`PostingKind::Resale`].
    ResaleCorrection,
    /// The same correction for a [`PostingKind::VendorCost`].
    CostCorrection,
}

/// The other side of postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Book {
    /// Our revenue from calls.
    Sales,
    /// Resellers' revenue from calls.
    Resale,
    /// Our cost of calls.
    Purchases,
    /// Payments, in and out.
    Cash,
    /// Opening balances of accounts.
    Opening,
}

impl PostingKind {
    /// Every kind.
    pub const ALL: [PostingKind; 8] = [
        PostingKind::CallCharge,
        PostingKind::Resale,
        PostingKind::VendorCost,
        PostingKind::Opening,
        PostingKind::Payment,
        PostingKind::Correction,
        PostingKind::ResaleCorrection,
        PostingKind::CostCorrection,
    ];

    /// The book that provides the amount.
    #[must_use]
    pub fn book(self) -> Book {
        match self {
            PostingKind::CallCharge | PostingKind::Correction => Book::Sales,
            PostingKind::Resale | PostingKind::ResaleCorrection => Book::Resale,
            PostingKind::VendorCost | PostingKind::CostCorrection => Book::Purchases,
            PostingKind::Payment => Book::Cash,
            PostingKind::Opening => Book::Opening,
        }
    }

    /// The kind of posting that corrects a charge of this kind.
    #[must_use]
    pub fn correction(self) -> PostingKind {
        match self {
            PostingKind::VendorCost => PostingKind::CostCorrection,
            PostingKind::Resale => PostingKind::ResaleCorrection,
            _ => PostingKind::Correction,
        }
    }

    /// Its name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            PostingKind::CallCharge => "call_charge",
            PostingKind::Resale => "resale",
            PostingKind::VendorCost => "vendor_cost",
            PostingKind::Opening => "opening",
            PostingKind::Payment => "payment",
            PostingKind::Correction => "correction",
            PostingKind::ResaleCorrection => "resale_correction",
            PostingKind::CostCorrection => "cost_correction",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<PostingKind> {
        PostingKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Book {
    /// Every book.
    pub const ALL: [Book; 5] =
        [Book::Sales, Book::Resale, Book::Purchases, Book::Cash, Book::Opening];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Book::Sales => "sales",
            Book::Resale => "resale",
            Book::Purchases => "purchases",
            Book::Cash => "cash",
            Book::Opening => "opening",
        }
    }
}
