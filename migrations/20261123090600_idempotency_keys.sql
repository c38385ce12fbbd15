-- Idempotency keys: what a request created, for 24 hours.
create table idempotency_key (
    -- Keys are unique per account.
    account_id  uuid not null references account on delete cascade,
    -- The Idempotency-Key of the request.
    key         text not null check (length(key) between 1 and 255),
    -- SHA-256 of the request: using the key for another request is an error.
    hash        bytea not null check (length(hash) = 32),
    -- The created resource. It may have been changed or deleted since: a retry gets the first response.
    resource_id uuid not null,
    -- Also the time of the resource: both are inserted in one transaction.
    created_at  timestamptz not null default now(),
    primary key (account_id, key)
);

-- For deletion by age.
create index idempotency_key_created_at on idempotency_key (created_at);
