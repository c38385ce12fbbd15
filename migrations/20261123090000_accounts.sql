-- People who can sign in. An account exists only once its email is confirmed, so that nothing else in the
-- schema ever asks whether it is.
create table account (
    -- UUIDv7, made by the service: unguessable enough to be public, and in order of time for the index.
    id            uuid primary key,
    -- In lower case, as the service parses it: one mailbox is one account.
    email         text not null unique check (length(email) <= 254),
    -- Argon2id in PHC form, parameters included, so that they can be raised without a migration.
    password_hash text not null,
    -- Set by an operator: no sign-in, no reset. Null is the normal state; the time answers "since when?".
    disabled_at   timestamptz,
    -- Shown to its owner.
    created_at    timestamptz not null default now()
);
