-- Deploy hartonomous:function_store_code_lines to pg
-- requires: schema_llm_store

-- plpython/atoms/geometry.py has the same encodings (CODES) and the same points (code_points), in bulk.
-- Ranks by value: codes of four bits are in order of value, except those of MXFP4, which are sign and magnitude. In two's
-- complement, codes from 0 up have the upper half of the ranks, and the other codes the lower half, in their order. In
-- sign and magnitude the other codes are in reverse order.
-- An axis begins at 2^23 and has 2^31 steps of 1/256; a point is in the middle of its step.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.code_lines()
RETURNS TABLE (
    type text, number integer, log_bits integer,
    first_code integer, last_code integer, intercept integer, slope integer,
    step double precision, x double precision, y double precision, z double precision, m double precision
)
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
SECURITY INVOKER
ROWS 13
BEGIN ATOMIC
    SELECT
        l.*,
        s.step,
        s.zero + l.intercept * s.step AS x,
        s.zero AS y,
        s.zero + l.log_bits * (1 << 26) / 256 AS z,
        s.zero + l.number * (1 << 24) / 256 AS m
    FROM (
        VALUES
        ('F16', 1, 4, 0, 32767, 32768, 1),
        ('F16', 1, 4, 32768, 65535, 65535, -1),
        ('Q4_0', 2, 2, 0, 15, 0, 1),
        ('Q4_1', 3, 2, 0, 15, 0, 1),
        ('Q8_0', 8, 3, 0, 127, 128, 1),
        ('Q8_0', 8, 3, 128, 255, -128, 1),
        ('Q4_K', 12, 2, 0, 15, 0, 1),
        ('IQ4_NL', 20, 2, 0, 15, 0, 1),
        ('IQ4_XS', 23, 2, 0, 15, 0, 1),
        ('BF16', 30, 4, 0, 32767, 32768, 1),
        ('BF16', 30, 4, 32768, 65535, 65535, -1),
        ('MXFP4', 39, 2, 0, 7, 8, 1),
        ('MXFP4', 39, 2, 8, 15, 15, -1)
    ) AS l (type, number, log_bits, first_code, last_code, intercept, slope)
    CROSS JOIN LATERAL ( -- noqa: ST05
        SELECT
            (1 << 31 - (1 << l.log_bits)) / 256::double precision AS step,
            8388608 + 0.5::double precision / 256 AS zero
    ) AS s;
END;

ALTER FUNCTION llm_store.code_lines() OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.code_lines() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.code_lines() TO llm_user;
COMMENT ON FUNCTION llm_store.code_lines() IS
E'The encodings whose weight codes are atoms, as straight lines: from first_code to last_code, the rank of a code''s '
'value among all codes is intercept + slope * code.\n'
'number: GGUF''s number of the encoding; log_bits: the binary logarithm of the bits of a code.\n'
'step, x, y, z, m: the point of a code is (x + slope * code * step, y + code * step, z, m).';

COMMIT;
