-- Notes: the demo domain. Nothing outside this file refers to its tables, and they refer to accounts alone.
create table note (
    -- UUIDv7, made by the service: unguessable enough to be public, and in order of time for the index.
    id         uuid primary key,
    -- Whose it is; it goes with the account.
    account_id uuid not null references account on delete cascade,
    -- Trimmed by the service, and of one line.
    title      text not null check (length(title) between 1 and 200),
    -- May be empty.
    body       text not null check (length(body) <= 100000),
    -- Counts the changes. It is what an ETag holds, as two changes may fall into one microsecond.
    version    bigint not null default 1,
    -- By the database's clock, as all processes share that one. Lists go by it, the newest first.
    created_at timestamptz not null default now(),
    -- When it was changed last.
    updated_at timestamptz not null default now(),
    -- What a search looks at. `simple` knows no language: it drops no word and cuts no ending.
    search     tsvector not null generated always as (to_tsvector('simple', title || ' ' || body)) stored
);

-- Pages of an account's notes, its quota, and the foreign key that cascades.
create index note_account_id on note (account_id, created_at desc, id desc);
-- Searches.
create index note_search on note using gin (search);

-- The answers to requests that may be repeated, for 24 hours.
create table note_key (
    -- One account's keys say nothing of another's.
    account_id uuid not null references account on delete cascade,
    -- The client's name for one request.
    key        text not null check (length(key) between 1 and 255),
    -- SHA-256 of what was asked for: the same key must not stand for something else.
    hash       bytea not null check (length(hash) = 32),
    -- The note that was made. It may be changed or gone by now: the answer stays as it was.
    note_id    uuid not null,
    -- The note's own time; it is part of the answer, and keys end by it.
    created_at timestamptz not null,
    primary key (account_id, key)
);
