-- Pending changes of email; the old email stays valid until the new one is confirmed.
create table email_change (
    -- UUIDv7; never leaves the service.
    id         uuid primary key,
    -- Only the newest change of an account is kept; it is deleted with the account.
    account_id uuid not null unique references account on delete cascade,
    -- The new email. Not unique: a request for a taken email must look like one for a free one.
    email      text not null check (length(email) <= 254),
    -- Unconfirmed rows are deleted by age.
    created_at timestamptz not null default now()
);
