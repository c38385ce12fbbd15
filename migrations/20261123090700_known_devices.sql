-- Devices that have signed in to an account. They are served although strangers guess at its password.
create table known_device (
    -- A device is known to one account.
    account_id uuid not null references account on delete cascade,
    -- SHA-256 of the token in its cookie: a dump contains no token.
    hash       bytea not null check (length(hash) = 32),
    -- Only the latest of an account are kept.
    created_at timestamptz not null default now(),
    primary key (account_id, hash)
);
