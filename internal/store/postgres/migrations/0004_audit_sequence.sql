-- The ids of the audit log come from a sequence, and no longer from the numbers of the server's transactions. A write takes
-- its id when it has the turn, an advisory lock that it keeps until it is committed: ids are committed in their order.
CREATE SEQUENCE audit_id AS bigint OWNED BY audit.id;

SELECT setval('audit_id', max(id)) FROM audit HAVING max(id) > 0;

ALTER TABLE house DROP COLUMN audit_base;
