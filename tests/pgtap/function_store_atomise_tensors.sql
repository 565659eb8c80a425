BEGIN;
SELECT plan(5);

SET LOCAL ROLE llm_loader;
INSERT INTO llm_store.upload (content) VALUES ('\x0000003c0040003c'); -- 0, 1, 2, 1
SELECT s.hash FROM llm_store.store_tensors(jsonb_build_array(jsonb_build_object(
    'name', 'w', 'type', 'F16', 'shape', '[2, 2]'::jsonb,
    'tiles', jsonb_build_array(encode(sha256('\x0000003c0040003c'), 'hex'))))) AS s \gset
SELECT is(
    llm_store.atomise_tensors(ARRAY[:'hash'::bytea, :'hash'::bytea], '{w,v}'), 4::bigint, 'four weights are counted');
SELECT is(llm_store.atomise_tensors(ARRAY[:'hash'::bytea], '{w}'), 0::bigint, 'once');
SELECT results_eq(
    format('SELECT codes, counts FROM llm_store.atom_code_count WHERE tensor_hash = %L', :'hash'),
    $$VALUES ('{0,15360,16384}'::integer[], '{1,2,1}'::bigint[])$$, 'as often as they are there');
SELECT is(llm_store.atomise_tensors(ARRAY['\x00'::bytea], '{w}'), 0::bigint, 'what is no tensor has no codes');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.atomise_tensors(''{}'', ''{}'')', '42501', NULL, 'a user may not store atoms');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
