-- New emails of accounts that wait to be confirmed; the old one stays valid until then.
create table email_change (
    -- UUIDv7; never leaves the service.
    id         uuid primary key,
    -- Whose email changes. Only the newest change is kept, and it goes with the account.
    account_id uuid not null unique references account on delete cascade,
    -- The email to change to. Not unique: a request for a taken one must look like one for a free one.
    email      text not null check (length(email) <= 254),
    -- Rows nobody confirmed are cleaned up by age.
    created_at timestamptz not null default now()
);
