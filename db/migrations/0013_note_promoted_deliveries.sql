-- +goose Up
-- The recorded delivery whose data a test sent. No foreign key: deliveries go
-- with their day.

ALTER TABLE test_results ADD COLUMN delivery_id text COLLATE "C";
