BEGIN;
SELECT plan(2);

SELECT throws_ok(
    $$INSERT INTO llm_store.atom_byte_count VALUES (1, '{3}', llm_atoms.atom_point('a'))$$,
    '23514', NULL, 'all 256 bytes have a count');
SET LOCAL ROLE llm_loader;
SELECT throws_ok('DELETE FROM llm_store.atom_byte_count', '42501', NULL, 'a loader may not write counts');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
