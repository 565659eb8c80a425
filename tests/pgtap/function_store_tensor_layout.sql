BEGIN;
SELECT plan(2);

SELECT results_eq(
    $$SELECT l.rows_per_tile, l.bytes, l.tile_bytes FROM llm_store.tensor_layout(jsonb_build_array(
        jsonb_build_object('name', 'a', 'type', 'F32', 'shape', '[3, 100000]'::jsonb,
    'tiles', to_jsonb(array_fill(repeat('0', 64), ARRAY[2]))),
        jsonb_build_object('name', 'b', 'type', 'Q8_0', 'shape', '[2, 1048576]'::jsonb,
    'tiles', to_jsonb(array_fill(repeat('0', 64), ARRAY[4])))
    )) AS l ORDER BY l.ordinal$$,
    -- two rows of 400,000 bytes fill a tile; a row of 1,114,112 bytes is a whole tile and the rest
    $$VALUES (2, 1200000::bigint, ARRAY[800000, 400000]), (0, 2228224, ARRAY[1048576, 65536, 1048576, 65536])$$,
    'rows lie in tiles whole, or a longer row in tiles of its own');
SELECT throws_ok(
    $$SELECT llm_store.tensor_layout('[{"name": "a", "type": "Q8_0", "shape": [31], "tiles": []}]')$$,
    '22023', 'llm: tensor "a": a row of 31 elements cannot be Q8_0', 'rows are whole blocks');

SELECT * FROM finish();
ROLLBACK;
