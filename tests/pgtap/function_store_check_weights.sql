BEGIN;
SELECT plan(6);

CREATE FUNCTION pg_temp.store(name text, type text, rows integer, content bytea) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO llm_store.upload (content) VALUES (content);
    SELECT count(*) FROM llm_store.store_tensors(jsonb_build_array(jsonb_build_object(
        'name', name, 'type', type, 'shape', to_jsonb(ARRAY[rows, 2]),
        'tiles', jsonb_build_array(encode(sha256(content), 'hex')))));
$$;
GRANT EXECUTE ON FUNCTION pg_temp.store(text, text, integer, bytea) TO llm_loader;

SET LOCAL ROLE llm_loader;
SELECT throws_ok(
    $$SELECT pg_temp.store('w', 'F32', 2, '\x0000803f000000000000803f0000c07f')$$,
    '22023', 'llm: tensor "w" holds NaN or infinity in row 1', 'NaN is refused, and the row is named');
SELECT throws_ok(
    $$SELECT pg_temp.store('w', 'F32', 1, '\x000080ff00000000')$$,
    '22023', 'llm: tensor "w" holds NaN or infinity in row 0', 'so is infinity');
SELECT is(
    pg_temp.store('w', 'F32', 1, '\xffff7f7fffff7fff'), 1::bigint, 'the largest numbers of float32 are numbers');
SELECT is(pg_temp.store('w', 'F32', 1, '\x0000803f00000000'), 1::bigint, 'a weight may be 0');
SELECT throws_ok(
    $$SELECT pg_temp.store('rope_freqs.weight', 'F32', 1, '\x0000803f00000000')$$,
    '22023', 'llm: tensor "rope_freqs.weight" holds a number that rope cannot divide by',
    'what rope divides by may not, in a tensor that was there already too');
SELECT throws_ok(
    'SELECT llm_store.check_weights('''', '''', TRUE)', '42501', NULL, 'a loader goes through store_tensors');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
