BEGIN;
SELECT plan(2);

SELECT is((SELECT count(*) FROM llm_atoms.deduplication), 1::bigint, 'one row, also when there is no model');
SELECT ok(
    (SELECT d.bytes_presented >= d.bytes_stored AND d.code_references >= d.codes FROM llm_atoms.deduplication AS d),
    'nothing is stored more often than it is presented');

SELECT * FROM finish();
ROLLBACK;
