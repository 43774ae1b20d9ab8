-- Devices in doubt are counted with all accounts, which reads every row.
DROP INDEX device_in_doubt;
