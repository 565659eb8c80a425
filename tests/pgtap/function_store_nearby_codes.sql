BEGIN;
SELECT plan(6);

\ir no_models.psql
\ir three_tokens.psql
\ir one_tensor.psql
SELECT llm_store.store_atom_codes(ARRAY[sha256('tensor')], '{w}');
SELECT llm_store.atom_code_point('Q8_0\000\007') AS place \gset

SELECT is_empty(
    format('SELECT FROM llm_store.nearby_codes(%L, 1, 0)', :'place'), 'what no model has is not shown');
\ir a_model_of_them.psql
SELECT is(
    ARRAY(SELECT n.content FROM llm_store.nearby_codes(:'place', 1, 0) AS n), ARRAY['Q8_0\000\007'::bytea],
    'nearest to a code is itself');
SELECT is(
    (SELECT count(*) FROM llm_store.nearby_codes(:'place', 10000, 'Infinity') AS n WHERE n.content LIKE 'Q8_0%'),
    (SELECT count(*) FROM llm_atoms.atoms AS a WHERE a.meta ->> 'kind' = 'code'), 'all are found');
SELECT is_empty(
    $$SELECT FROM llm_store.nearby_codes(llm_atoms.atom_point('aqz'), 10, 1)$$, 'none further away than was asked');

-- Every encoding, between models and from many codes to none, against the distances to all of them.
INSERT INTO llm_store.model (name, architecture, tokenizer_id, container)
SELECT
    'other' AS name,
    '{}' AS architecture,
    k.id,
    'gguf' AS container
FROM llm_store.tokenizer AS k WHERE k.hash = sha256('tokenizer');
DELETE FROM llm_store.model_code;
INSERT INTO llm_store.model_code (model_id, type, code_bits)
SELECT
    m.id AS model_id,
    e.type,
    (
        SELECT string_agg(((hashint4(i * 7 + m.id % 2) & 1048575) % e.one_of = 0)::integer::text, '' ORDER BY i)
        FROM generate_series(0, e.codes - 1) AS i
    )::bit varying AS code_bits
FROM llm_store.model AS m
CROSS JOIN (
    VALUES ('F16', 65536, 3), ('BF16', 65536, 7000), ('Q8_0', 256, 2), ('Q4_0', 16, 1), ('Q4_1', 16, 1000000),
    ('Q4_K', 16, 2), ('IQ4_NL', 16, 5), ('IQ4_XS', 16, 9), ('MXFP4', 16, 3)
) AS e (type, codes, one_of)
WHERE m.name = 'aqz' OR e.type IN ('BF16', 'Q8_0');
CREATE TEMPORARY TABLE code_there AS
SELECT llm_store.atom_code_point(llm_store.atom_code_content(l.type, i)) AS place
FROM llm_store.code_lines() AS l
CROSS JOIN LATERAL generate_series(l.first_code, l.last_code) AS i
WHERE (SELECT bit_or(c.code_bits) FROM llm_store.model_code AS c WHERE c.type = l.type) IS NOT NULL
AND get_bit((SELECT bit_or(c.code_bits) FROM llm_store.model_code AS c WHERE c.type = l.type), i) = 1;
SELECT setseed(0.5);
CREATE TEMPORARY TABLE origin AS
SELECT llm_store.atom_code_point(llm_store.atom_code_content(l.type, c.code)) AS place
FROM llm_store.code_lines() AS l
CROSS JOIN LATERAL (VALUES (l.first_code), ((l.first_code + l.last_code) / 2), (l.last_code)) AS c (code)
UNION ALL
SELECT public.st_setsrid(public.st_makepoint(
    8388608 + random() * 8388608, 8388608 + random() * 8388608,
    8388608 + random() * 1048576, 8388608 + random() * 2097152
), 3857)
FROM generate_series(1, 15)
UNION ALL
SELECT public.st_setsrid(public.st_makepoint(x, -x / 3, 8912896, 8388608), 3857)
FROM unnest(ARRAY[0, 1e6, -1e9, 1e12]) AS x;
SELECT is_empty(
    $$SELECT public.st_asewkt(o.place), k FROM origin AS o
    CROSS JOIN LATERAL (
        SELECT array_agg(t.place OPERATOR(public.<<->>) o.place ORDER BY t.place OPERATOR(public.<<->>) o.place) AS distances
        FROM code_there AS t
    ) AS f
    CROSS JOIN unnest(ARRAY[1, 10, 300]) AS k
    WHERE f.distances[1:k] IS DISTINCT FROM (
        SELECT (array_agg(n.distance ORDER BY n.distance))[1:k] FROM llm_store.nearby_codes(o.place, k, 'Infinity') AS n
    )$$,
    'the nearest are those of all, whatever the encoding and however many there are');
SELECT is_empty(
    $$SELECT FROM origin AS o CROSS JOIN LATERAL llm_store.nearby_codes(o.place, 3, 'Infinity') AS n
    WHERE n.place::bytea <> llm_store.atom_code_point(n.content)::bytea
    OR n.distance <> n.place OPERATOR(public.<<->>) o.place
    OR NOT EXISTS (SELECT FROM code_there AS t WHERE t.place::bytea = n.place::bytea)$$,
    'each has the place and the distance of its content');

SELECT * FROM finish();
ROLLBACK;
