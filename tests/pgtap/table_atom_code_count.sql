BEGIN;
SELECT plan(4);

INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('tensor'), 'Q8_0', '{1,32}', 1, 34);
SELECT throws_ok(
    $$INSERT INTO llm_store.atom_code_count VALUES (sha256('tensor'), '{1, 2}', '{3}', B'0110')$$,
    '23514', NULL, 'every code has a count');
SELECT throws_ok(
    $$INSERT INTO llm_store.atom_code_count VALUES (sha256('tensor'), '{1, 2}', '{3, 4}', B'0100')$$,
    '23514', NULL, 'and a bit');
INSERT INTO llm_store.atom_code_count VALUES (sha256('tensor'), '{1, 2}', '{3, 4}', B'0110');
DELETE FROM llm_store.tensor WHERE hash = sha256('tensor');
SELECT is_empty(
    $$SELECT FROM llm_store.atom_code_count WHERE tensor_hash = sha256('tensor')$$, 'counts go with their tensor');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('DELETE FROM llm_store.atom_code_count', '42501', NULL, 'a loader may not write counts');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
