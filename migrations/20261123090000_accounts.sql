-- People who can sign in. An account is created when its email is confirmed, so that no other table or query needs to
-- check.
create table account (
    -- UUIDv7 from the service: public, as it cannot be guessed, and ordered by time, for the index.
    id            uuid primary key,
    -- Lower case, as the service parses it: one mailbox is one account.
    email         text not null unique check (length(email) <= 254),
    -- Argon2id in PHC format, parameters included, so that they can be raised without a migration.
    password_hash text not null,
    -- Set by an operator: no sign-in, no reset. Null means enabled.
    disabled_at   timestamptz,
    -- Shown to its owner.
    created_at    timestamptz not null default now()
);
