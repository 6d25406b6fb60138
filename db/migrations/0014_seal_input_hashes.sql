-- +goose Up
-- The hash of an input is sealed as secrets are: the input can hold some, and
-- who has the database alone could try out which fit. Takes its lock
-- for a moment.

ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_input_hash_check;
