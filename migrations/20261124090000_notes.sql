-- Notes: the demo domain. No other migration refers to these tables, and they refer only to accounts.
create table note (
    -- UUIDv7 from the service: public, as it cannot be guessed, and ordered by time, for the index.
    id         uuid primary key,
    -- Its owner; the note is deleted with the account.
    account_id uuid not null references account on delete cascade,
    -- One line, trimmed by the service.
    title      text not null check (length(title) between 1 and 200),
    -- May be empty.
    body       text not null check (length(body) <= 100000),
    -- Incremented by each change; it is the ETag. A time would not do: two changes may have the same microsecond.
    version    bigint not null default 1,
    -- By the database's clock, which all processes share. Lists are sorted by it, newest first.
    created_at timestamptz not null default now(),
    -- The time of the last change.
    updated_at timestamptz not null default now(),
    -- The search index. `simple` is independent of the language: no stop words, no stemming.
    search     tsvector not null generated always as (to_tsvector('simple', title || ' ' || body)) stored
);

-- For pages of an account's notes, its quota, and the cascade of the foreign key.
create index note_account_id on note (account_id, created_at desc, id desc);
-- For searches.
create index note_search on note using gin (search);

-- A note's image. Its objects are in storage: `notes/<key>` and, once a job has made it, `notes/<key>-preview`.
create table note_image (
    -- A note has at most one; it is deleted with the note.
    note_id      uuid primary key references note on delete cascade,
    -- Random, new for each upload: an object never changes.
    key          uuid not null unique,
    -- The type in which the service encoded it.
    content_type text not null check (content_type in ('image/jpeg', 'image/png')),
    -- The type of the preview; null until it exists.
    preview_type text check (preview_type in ('image/jpeg', 'image/png'))
);

-- Objects to delete, unless a note gets them. A row is added before its object is stored, and deleted when a note has
-- it: an aborted upload leaves no orphan.
create table pending_upload (
    key uuid primary key,
    -- When to delete it: at once after an image was deleted, later while an upload may be in flight.
    due timestamptz not null
);

-- Deletes the objects of aborted uploads.
insert into job_schedule (task, every) values ('sweep_images', '10 minutes');

-- Whenever an image is deleted, with its note, with its account or by a newer image, its objects are deleted soon.
create function note_image_gone() returns trigger language plpgsql as $$
begin
    insert into pending_upload (key, due) values (old.key, now());
    perform add_job('sweep_images', '{}', 'sweep_images');
    return null;
end $$;

create trigger note_image_gone after delete or update of key on note_image
    for each row execute function note_image_gone();
