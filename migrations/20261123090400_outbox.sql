-- Emails to send or sent. A job's payload is an email's id and nothing else, so that the queue holds neither
-- recipients nor tokens.
create table outbox_email (
    -- UUIDv7; also the left half of the Message-ID, which therefore stays the same when an email is sent twice.
    id         uuid primary key,
    -- What it says: a name of the domain that sends it.
    kind       text not null,
    -- The recipient at the time of the request: a notice of a change goes to the old one.
    recipient  text not null check (length(recipient) <= 254),
    -- Whose email; goes with the account. Null while there is none: a sign-up, or a reset that was requested for an
    -- email and is matched to an account only when it is sent, so that a request takes the same time for all.
    account_id uuid references account on delete cascade,
    -- The row that it is about, in a table of its domain. No foreign key: the job that sends
    -- it finds the row, or drops the email.
    subject_id uuid,
    -- The request that added it, to join a complaint about an email to the logs.
    request_id text,
    -- Clean-up goes by age.
    created_at timestamptz not null default now(),
    -- When the mail server took it. An email with a time here is not sent again.
    sent_at    timestamptz
);

-- The foreign key that cascades.
create index outbox_email_account_id on outbox_email (account_id);
-- Erasing an account erases every email to its owner.
create index outbox_email_recipient on outbox_email (recipient);
-- Clean-up goes by age.
create index outbox_email_created_at on outbox_email (created_at);
