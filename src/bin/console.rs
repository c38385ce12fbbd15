//! XII Admin processes: SQL on the release's database.

use std::{io, io::IsTerminal, io::Write, process::ExitCode};

use app::{admin, services::postgres, services::postgres::AdminConnection};
use clap::Parser;
use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Column, Connection, Either, Executor, Row, SqlSafeStr, Statement};

/// Whether the role may use files or run programs, as superusers may: a read-only transaction does not prevent that.
const IS_UNSAFE: &str = "select bool_or(pg_has_role(oid, 'member')) from pg_roles where rolname ~ '^pg_.*_server_'";
const UNSAFE: &str = "the role of DATABASE_URL is a superuser, or may run programs and use files of the database's \
    machine, which a read-only transaction does not prevent: use another role, or --write";

/// Runs SQL from stdin, one statement per line, and prints the rows tab-separated.
///
/// Each statement runs in a read-only transaction of the role of DATABASE_URL: it cannot change tables. Functions with
/// other effects can still be called, as far as the role may call them, such as pg_terminate_backend.
#[derive(Parser)]
struct Args {
    /// Allows statements to change the database, and runs them with the role of MIGRATE_DATABASE_URL.
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    admin::run(async |args: Args, config| {
        let url = if args.write { config.owner() } else { config.database() };
        let mut connection = AdminConnection::connect_with(&postgres::options(url)?).await?;
        if !args.write && sqlx::query_scalar(IS_UNSAFE).fetch_one(&mut connection).await? {
            return Err(UNSAFE.into());
        }
        let interactive = io::stdin().is_terminal();
        let mut lines = io::stdin().lines();
        loop {
            if interactive {
                print!("=> ");
                io::stdout().flush()?;
            }
            let Some(line) = lines.next().transpose()? else { return Ok(String::new()) };
            match execute(&mut connection, line.trim(), args.write).await.map_err(postgres::message) {
                Err(error) if interactive => eprintln!("error: {error}"),
                result => result?,
            }
        }
    })
}

async fn execute(connection: &mut AdminConnection, sql: &str, write: bool) -> sqlx::Result<()> {
    if sql.is_empty() {
        return Ok(());
    }
    // Prepared, so that a line is one statement: a second one could end the read-only transaction.
    let statement = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let names: Vec<_> = statement.columns().iter().map(Column::name).collect();
    let header = names.join("\t");
    if write {
        return print(connection, sql, &header).await;
    }
    // Rolled back on drop.
    let mut transaction = connection.begin_with("begin read only").await?;
    print(&mut transaction, sql, &header).await
}

/// The simple query protocol returns values of any type as text.
async fn print(connection: &mut AdminConnection, sql: &str, header: &str) -> sqlx::Result<()> {
    if !header.is_empty() {
        println!("{header}");
    }
    let mut results = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
    while let Some(result) = results.try_next().await? {
        match result {
            Either::Right(row) => println!("{}", text(&row)?),
            Either::Left(done) if header.is_empty() => println!("{} rows", done.rows_affected()),
            Either::Left(_) => {}
        }
    }
    Ok(())
}

fn text(row: &PgRow) -> sqlx::Result<String> {
    let cells = (0..row.len()).map(|index| {
        let cell: Option<String> = row.try_get_unchecked(index)?;
        let cell = cell.unwrap_or_else(|| "NULL".to_owned());
        Ok(cell.replace('\t', "\\t").replace('\n', "\\n"))
    });
    Ok(cells.collect::<sqlx::Result<Vec<_>>>()?.join("\t"))
}
