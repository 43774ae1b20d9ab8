-- Devices in doubt are counted with all accounts, which reads every row. Each lease and each settle has written two pages of an index for it.
DROP INDEX device_held;
DROP INDEX device_in_doubt;
DROP INDEX device_epoch;
