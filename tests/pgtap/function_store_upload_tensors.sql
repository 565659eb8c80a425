BEGIN;
SELECT plan(6);

\ir no_models.psql
\ir tiny_model.psql

SET LOCAL ROLE llm_loader;
INSERT INTO llm_store.upload (content) VALUES ('\x0000003c0040003c');
PREPARE upload (text) AS SELECT llm_store.upload_tensors(jsonb_build_array(jsonb_build_object(
    'name', 'w', 'type', 'F16', 'shape', '[2, 2]'::jsonb, 'tiles', jsonb_build_array($1))));
SELECT results_eq(
    'EXECUTE upload (encode(sha256(''\x0000003c0040003c''), ''hex''))', ARRAY[4::bigint], 'its weights are counted');
SELECT results_eq(
    'EXECUTE upload (encode(sha256(''\x0000003c0040003c''), ''hex''))', ARRAY[0::bigint], 'once');
SELECT is_empty(
    $$SELECT FROM llm_atoms.atoms WHERE meta ->> 'type' = 'F16'$$, 'no view shows it before a model has it');
SELECT throws_ok(
    'EXECUTE upload (encode(sha256(''\x00''), ''hex''))', '42704', 'tile 0 of tensor "w" is not stored',
    'its tiles must be there');
SELECT is(llm_store.upload_tensors(NULL), NULL, 'NULL gives NULL');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.upload_tensors(''[]'')', '42501', NULL, 'a user may not upload');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
