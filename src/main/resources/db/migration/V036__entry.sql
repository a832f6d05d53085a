-- Why: who was entered or changed is put beside those who are like him a moment later. Many at once are for a scan, which
-- begins when no more come for a while, or have come for long, and none runs.
ALTER TABLE customer.scan_state ADD COLUMN wanted_first timestamptz, ADD COLUMN wanted_last timestamptz;
