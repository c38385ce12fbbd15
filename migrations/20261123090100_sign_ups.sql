-- Sign-ups that wait to be confirmed. One row a request, and not one an email: signing up again must not change what
-- an older link would confirm.
create table sign_up (
    -- UUIDv7; never leaves the service.
    id            uuid primary key,
    -- Not unique: a stranger may have signed up with the same email, and only its owner can confirm.
    email         text not null check (length(email) <= 254),
    -- The password given with this very request, hashed; it becomes the account's.
    password_hash text not null,
    -- Rows nobody confirmed are cleaned up by age.
    created_at    timestamptz not null default now()
);

-- Confirming one sign-up deletes the others of its email.
create index sign_up_email on sign_up (email);
-- Clean-up goes by age.
create index sign_up_created_at on sign_up (created_at);
