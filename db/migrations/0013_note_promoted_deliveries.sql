-- +goose Up
-- The recorded delivery whose data a test sent. No foreign key: deliveries go
-- with their day. Takes its lock for a moment: a new column without a default
-- rewrites nothing.

ALTER TABLE test_results ADD COLUMN delivery_id text COLLATE "C";
