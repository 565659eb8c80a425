BEGIN;
SELECT plan(3);

INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
VALUES (sha256('tensor'), 'F32', '{1,2}', 1, 8);
SELECT throws_ok(
    $$INSERT INTO llm_store.projection (tensor_hash, explained, units) VALUES (sha256('tensor'), '{0.5}', 1)$$,
    '23514', NULL, 'there are four directions');
INSERT INTO llm_store.projection (tensor_hash, explained, units) VALUES (sha256('tensor'), '{0.5, 0.1, 0, 0}', 1);
DELETE FROM llm_store.tensor WHERE hash = sha256('tensor');
SELECT is_empty(
    $$SELECT FROM llm_store.projection WHERE tensor_hash = sha256('tensor')$$, 'a map goes with its embedding');
SELECT table_privs_are(
    'llm_store', 'projection', 'llm_loader', ARRAY['SELECT'], 'a loader makes it by llm_atoms.project only');

SELECT * FROM finish();
ROLLBACK;
