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

-- A note's image. The files are in object storage: `notes/<key>` and, once a job has made it, `notes/<key>-preview`.
create table note_image (
    -- A note has one at most, which goes with it.
    note_id      uuid primary key references note on delete cascade,
    -- Random, and another one for each upload: a file never changes.
    key          uuid not null unique,
    -- As the service wrote the file.
    content_type text not null check (content_type in ('image/jpeg', 'image/png')),
    -- The same of the preview; null until there is one.
    preview_type text check (preview_type in ('image/jpeg', 'image/png'))
);

-- Files to delete. A row stands here before its file is stored, and goes when the file belongs to a note: whatever
-- breaks off in between, no file stays that nobody knows of.
create table note_file (
    key uuid primary key,
    -- When it is nobody's: at once where an image was deleted, later where an upload may be under way.
    due timestamptz not null
);

-- However an image goes, by its note, its account or a newer image, its files go too, and soon.
create function note_image_gone() returns trigger language plpgsql as $$
begin
    insert into note_file (key, due) values (old.key, now());
    perform graphile_worker.add_job('sweep_images', payload => '{}', job_key => 'sweep_images', max_attempts => 12);
    return null;
end $$;

create trigger note_image_gone after delete or update of key on note_image
    for each row execute function note_image_gone();
