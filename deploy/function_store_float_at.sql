-- Deploy hartonomous:function_store_float_at to pg
-- requires: schema_llm_store, role_llm_user

-- PostgreSQL has no cast from bytes to numbers. IEEE 754's definition, in arithmetic that is exact: a mantissa of 24
-- bits times a power of two, in double precision. A body of one expression, which the planner puts in place of the call.
BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.float_at(numbers bytea, i integer)
RETURNS real
LANGUAGE sql
IMMUTABLE
PARALLEL SAFE
RETURN (
    CASE WHEN get_byte(numbers, 4 * i + 3) > 127 THEN -1::double precision ELSE 1 END
    * CASE ((get_byte(numbers, 4 * i + 3) & 127) << 1) + (get_byte(numbers, 4 * i + 2) >> 7)
        WHEN 0 THEN
            (((get_byte(numbers, 4 * i + 2) & 127) << 16) + (get_byte(numbers, 4 * i + 1) << 8)
            + get_byte(numbers, 4 * i)) * power(2::double precision, -149)
        WHEN 255 THEN
            CASE
                WHEN get_byte(numbers, 4 * i + 2) = 128 AND get_byte(numbers, 4 * i + 1) + get_byte(numbers, 4 * i) = 0
                    THEN double precision 'Infinity'
                ELSE double precision 'NaN'
            END
        ELSE
            (((get_byte(numbers, 4 * i + 2) | 128) << 16) + (get_byte(numbers, 4 * i + 1) << 8)
            + get_byte(numbers, 4 * i))
            * power(
                2::double precision,
                ((get_byte(numbers, 4 * i + 3) & 127) << 1) + (get_byte(numbers, 4 * i + 2) >> 7) - 150
            )
    END
)::real;

ALTER FUNCTION llm_store.float_at(bytea, integer) OWNER TO llm_owner;
REVOKE ALL ON FUNCTION llm_store.float_at(bytea, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.float_at(bytea, integer) TO llm_user;
COMMENT ON FUNCTION llm_store.float_at(bytea, integer) IS
'Number i, from 0, of little-endian float32 numbers, exactly.';

COMMIT;
