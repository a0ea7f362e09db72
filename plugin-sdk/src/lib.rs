//! What a Strowger plugin depends on.
