-- New addresses that wait for their letter to be confirmed; the old one stays valid until then.
create table address_change (
    -- UUIDv7; never leaves the service.
    id         uuid primary key,
    -- Whose address changes. Only the newest change is kept, and it goes with the account.
    account_id uuid not null unique references account on delete cascade,
    -- The address to change to. Not unique: asking for a taken address must look like asking for a free one.
    email      text not null check (length(email) <= 254),
    -- Rows nobody confirmed are cleaned up by age.
    created_at timestamptz not null default now()
);
