//! A plugin that reaches for a disk. Tests also load it with the four letters `acme`
//! changed to `wasi`.

wit_bindgen::generate!({
    inline: "
        package acme:files@0.2.0;
        interface disk { read: func(name: string) -> string; }
        world trespasser {
            import disk;
            export peek: func() -> string;
        }
    ",
});

struct Trespasser;

impl Guest for Trespasser {
    fn peek() -> String {
        acme::files::disk::read("/etc/passwd")
    }
}

export!(Trespasser);
