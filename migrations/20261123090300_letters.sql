-- Letters to send or sent. A job's payload is a letter's id and nothing else, so that the queue holds neither
-- addresses nor tokens.
create table letter (
    -- UUIDv7; also the left half of the Message-ID, which therefore stays the same when a letter is sent twice.
    id                uuid primary key,
    -- Which template, and what its link is for.
    kind              text not null check (kind in (
                          'sign_up', 'reset', 'address_change',
                          'address_change_asked', 'address_changed', 'password_changed')),
    -- The address at the time of asking: a notice of a change goes to the old one.
    recipient         text not null check (length(recipient) <= 254),
    -- Whose letter; goes with the account. Null while there is none: a sign-up, or a reset that was asked for an
    -- address and is matched to an account only when it is sent, so that asking takes the same time for all.
    account_id        uuid references account on delete cascade,
    -- What a sign-up's letter confirms.
    sign_up_id        uuid references sign_up on delete cascade,
    -- What an address change's letter confirms.
    address_change_id uuid references address_change on delete cascade,
    -- The request that asked for it, to join a complaint about a letter to the logs.
    request_id        text,
    -- Clean-up goes by age.
    created_at        timestamptz not null default now(),
    -- When the mail server took it. A letter with a time here is not sent again.
    sent_at           timestamptz,
    -- A link must have something to confirm.
    check ((kind = 'sign_up') = (sign_up_id is not null)),
    check ((kind = 'address_change') = (address_change_id is not null))
);

-- Foreign keys that cascade look for their letters.
create index letter_account_id on letter (account_id);
create index letter_sign_up_id on letter (sign_up_id);
create index letter_address_change_id on letter (address_change_id);
-- Erasing an account erases every letter to its address.
create index letter_recipient on letter (recipient);
-- Clean-up goes by age.
create index letter_created_at on letter (created_at);

-- What the links in letters hold. Made when a letter is sent, deleted when it is used.
create table token (
    -- SHA-256 of the token: who reads this table can use none of them. A fast hash will do, as the token is
    -- 32 random bytes.
    hash       bytea primary key check (length(hash) = 32),
    -- The letter it was sent in, which knows what it is for. A letter that was sent twice has two.
    letter_id  uuid not null references letter on delete cascade,
    -- By the database's clock, as all processes share that one.
    expires_at timestamptz not null
);

-- A letter's tokens go with it, and a newer reset voids those of the older.
create index token_letter_id on token (letter_id);
