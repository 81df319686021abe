-- Counts of several sampling rates are multiplied out by stitch.

-- +goose Up
ALTER TABLE biflows
    COMMENT COLUMN sampling_rate 'That of its counted flows, 0 is unknown; 1 where they had several: then counts are multiplied out';
ALTER TABLE host_biflows
    COMMENT COLUMN sampling_rate 'That of its counted flows, 0 is unknown; 1 where they had several: then counts are multiplied out';

-- +goose Down
ALTER TABLE biflows
    COMMENT COLUMN sampling_rate 'The largest of its counted flows, 0 is unknown';
ALTER TABLE host_biflows
    COMMENT COLUMN sampling_rate 'The largest of its counted flows, 0 is unknown';
