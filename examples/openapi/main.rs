//! Prints the API's contract, as `openapi.json` keeps it and the service serves it.

mod document;

fn main() {
    println!("{:#}", document::document());
}
