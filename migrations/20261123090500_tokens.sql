-- What the links in emails hold. Made when an email is sent, deleted when it is used.
create table token (
    -- SHA-256 of the token: who reads this table can use none of them. A fast hash will do, as the token is
    -- 32 random bytes.
    hash       bytea primary key check (length(hash) = 32),
    -- The email it was sent in, which knows what it is for. An email that was sent twice has two.
    email_id   uuid not null references outbox_email on delete cascade,
    -- By the database's clock, as all processes share that one.
    expires_at timestamptz not null
);

-- An email's tokens go with it, and a newer reset invalidates those of the older.
create index token_email_id on token (email_id);

insert into job_schedule (task, every) values ('clean_up', '10 minutes');
