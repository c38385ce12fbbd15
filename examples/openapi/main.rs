//! Prints the API contract. Its output is committed as `openapi.json`, which the service serves.

mod document;

fn main() {
    println!("{:#}", document::document());
}
