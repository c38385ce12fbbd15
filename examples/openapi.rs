//! Prints the API's contract, as `openapi.json` keeps it.

fn main() {
    println!("{:#}", app::http::openapi::document(app::domains::routes));
}
