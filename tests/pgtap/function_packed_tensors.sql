BEGIN;
SELECT plan(2);

SELECT ok(
    (SELECT coalesce(bool_and(octet_length(p.tensor_hash) = 32 AND p.bytes > 0), TRUE) FROM llm.packed_tensors() AS p),
    'a tensor is known by its hash');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm.packed_tensors()', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
