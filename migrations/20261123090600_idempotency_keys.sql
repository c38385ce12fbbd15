-- Requests that may be sent again, for 24 hours: what they created.
create table idempotency_key (
    -- One account's keys say nothing of another's.
    account_id  uuid not null references account on delete cascade,
    -- The client's name for one request.
    key         text not null check (length(key) between 1 and 255),
    -- SHA-256 of the request: the same key must not stand for something else.
    hash        bytea not null check (length(hash) = 32),
    -- What was created. It may be changed or gone by now: the answer stays as it was.
    resource_id uuid not null,
    -- Also when the resource was created, as both are of one transaction.
    created_at  timestamptz not null default now(),
    primary key (account_id, key)
);
