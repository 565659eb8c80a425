BEGIN;
SELECT plan(6);

SET LOCAL ROLE llm_loader;
INSERT INTO llm_store.upload (content) VALUES ('\x0000003c0040003c'), ('\x0000003c0042003c'); -- 0, 1, 2, 1; 0, 1, 3, 1
SELECT
    max(s.hash::text) FILTER (WHERE s.name = 'a') AS a,
    max(s.hash::text) FILTER (WHERE s.name = 'b') AS b
FROM llm_store.store_tensors((
    SELECT jsonb_agg(jsonb_build_object('name', w.name, 'type', 'F16', 'shape', '[2, 2]'::jsonb,
        'tiles', jsonb_build_array(encode(sha256(w.content), 'hex'))))
    FROM (VALUES ('a', '\x0000003c0040003c'::bytea), ('b', '\x0000003c0042003c')) AS w (name, content)
)) AS s \gset
SELECT ok(NOT llm_store.atomise_edited(:'b', :'a'), 'a tensor that was not counted is no base');
SELECT llm_store.atomise_tensors(ARRAY[:'a'::bytea], '{w}');
SELECT ok(llm_store.atomise_edited(:'b', :'a'), 'one that was is');
SELECT results_eq(
    format('SELECT codes, counts FROM llm_store.atom_code_count WHERE tensor_hash = %L', :'b'),
    $$VALUES ('{0,15360,16896}'::integer[], '{1,2,1}'::bigint[])$$, 'what differs is counted');
SELECT ok(
    EXISTS (SELECT FROM llm_store.atom AS a WHERE a.content = 'F16\000\000\102'), 'a code that is new is an atom');
SELECT ok(NOT llm_store.atomise_edited(:'b', :'a'), 'once');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.atomise_edited('''', '''')', '42501', NULL, 'a user may not store atoms');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
