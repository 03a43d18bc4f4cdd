-- explain_cost: every step from a log row to dollars, one row per attempt x accrual x meter x price card. Finds a
-- request by its own id or by the logical request that it belongs to; an unpriced attempt keeps its row with NULL dollars.
-- Of a large warehouse the business days of [from_on, to_on) are found faster than all.
CREATE OR REPLACE MACRO explain_cost(wanted_id, from_on := DATE '0001-01-01', to_on := DATE '9999-12-31') AS TABLE
SELECT c.source, c.request_id, c.logical_request_id, c.attempt_no, c.status, c.started_at, c.accrued_hour, c.accrued_on,
  c.provider, c.region, c.route, c.requested_model, c.routed_model, c.served_model, c.model, c.service_tier, c.tenant,
  c.price_state, c.unpriced_reason, c.usage_source, c.cost_basis,
  l.meter, l.quantity,
  CASE WHEN c.cost_basis = 'gpu' THEN
      concat_ws(', ', 'share of what the pool-hour served, by ' || coalesce(c.allocation_rule, 'weight'),
        'weights ' || c.weights_from, 'at grain ' || c.allocation_grain)
    WHEN p.price_id IS NOT NULL THEN concat_ws(', ',
      CASE p.layer WHEN 'contracted' THEN 'contract ' || p.contract ELSE 'list price' END,
      'tier ' || p.service_tier, 'region ' || p.region,
      CASE WHEN p.above_input_tokens IS NOT NULL
        THEN p.long_context_mode || ' above ' || p.above_input_tokens || ' input tokens' END,
      'at ' || p.schedule || ' UTC',
      CASE p.priced_at WHEN 'finished' THEN 'as of completion' END) END AS rule,
  p.unit, p.currency, p.rate_per_mtok, p.usd_per_mtok, l.picodollars_per_unit, p.is_rounded,
  c.fx_usd_per_unit, c.fx_on,
  g.usd_per_gpu_hour, c.chip, c.deployment, c.commitment, c.allocation_grain, c.allocation_rule,
  c.weights_from, c.allocation_weight,
  h.serving_usd AS pool_serving_usd, h.billed_usd AS pool_billed_usd,
  l.effective_usd, c.list_usd AS attempt_list_usd, c.effective_usd AS attempt_effective_usd,
  c.estimated_usd, c.saved_usd, c.gateway_reported_usd,
  coalesce(l.price_id, c.price_id) AS price_id, coalesce(p.sheet_version, c.sheet_version) AS sheet_version,
  coalesce(p.sheet_path, g.sheet_path) AS sheet_path, coalesce(p.sheet_line, g.sheet_line) AS sheet_line,
  coalesce(p.valid_from, g.valid_from) AS valid_from, coalesce(p.known_from, g.known_from) AS known_from,
  coalesce(p.source_url, g.source_url) AS source_url,
  f.path AS log_path, r.file_hash, r.line_number AS log_line, r.record_number,
  w.run_id, w.loaded_at, c.is_provisional
-- Two questions of one column each are answered by the scan of that column; one with OR reads all columns of all rows.
FROM (
  FROM core.request_costs WHERE request_id = wanted_id AND accrued_on >= from_on AND accrued_on < to_on
  UNION ALL
  FROM core.request_costs WHERE logical_request_id = wanted_id AND request_id <> wanted_id
    AND accrued_on >= from_on AND accrued_on < to_on
) c
LEFT JOIN (
  FROM core.cost_lines WHERE request_id = wanted_id AND accrued_on >= from_on AND accrued_on < to_on
  UNION ALL
  FROM core.cost_lines WHERE logical_request_id = wanted_id AND request_id <> wanted_id
    AND accrued_on >= from_on AND accrued_on < to_on
) l ON l.source = c.source AND l.request_id = c.request_id AND l.started_at = c.started_at
  AND l.accrued_hour = c.accrued_hour AND l.accrued_on = c.accrued_on
LEFT JOIN ref.token_prices p ON p.price_id = l.price_id AND p.meter = l.meter
LEFT JOIN ref.gpu_prices g ON g.price_id = c.price_id
LEFT JOIN core.pool_hours h ON h.provider = c.provider AND h.region = c.region AND h.chip = c.chip
  AND h.deployment = c.deployment AND h.commitment = c.commitment
  AND h.pool_hour = c.accrued_hour AND h.accrued_on = c.accrued_on
LEFT JOIN (
  -- A call lasts two days at most.
  FROM core.requests WHERE request_id = wanted_id
    AND started_at >= CAST(from_on AS TIMESTAMPTZ) - INTERVAL 3 DAY AND started_at < CAST(to_on AS TIMESTAMPTZ) + INTERVAL 1 DAY
  UNION ALL
  FROM core.requests WHERE logical_request_id = wanted_id AND request_id <> wanted_id
    AND started_at >= CAST(from_on AS TIMESTAMPTZ) - INTERVAL 3 DAY AND started_at < CAST(to_on AS TIMESTAMPTZ) + INTERVAL 1 DAY
) r ON r.source = c.source AND r.request_id = c.request_id AND r.started_at = c.started_at
LEFT JOIN ops.landed_files f ON f.file_hash = r.file_hash AND f.source = r.source
LEFT JOIN ops.partitions w ON w.table_name = 'core.request_costs'
  AND w.partition_key = strftime(c.accrued_hour AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%MZ')
ORDER BY c.started_at, c.request_id, c.accrued_hour, c.accrued_on, l.meter, l.price_id;

-- costs_differ: whether two figures of one cost differ beyond rounding (of 5 digits, or a thousandth).
CREATE OR REPLACE MACRO costs_differ(reported, ours) AS (
  abs(reported - ours) > greatest(0.000005, 0.001 * abs(ours))
);

-- reported_cost_drift: per source x provider x model whose own figure for calls differs from ours: how many calls since when, and by how much. `is_billed` where the figure is what the provider
-- charged; else it is a gateway's estimate, which `nanodollar audit` explains. A drift began after the last clean day.
CREATE OR REPLACE MACRO reported_cost_drift() AS TABLE
WITH calls AS (
  SELECT c.source, c.provider, c.model, c.accrued_on, c.request_id, c.started_at, c.gateway_reported_usd, c.effective_usd,
    costs_differ(c.gateway_reported_usd, c.effective_usd) AS differs
  FROM core.request_costs c
  WHERE c.gateway_reported_usd IS NOT NULL AND c.effective_usd IS NOT NULL AND c.cost_basis = 'token'
), clean AS (
  SELECT source, provider, model, max(accrued_on) FILTER (WHERE NOT differing) AS last_clean_on
  FROM (SELECT source, provider, model, accrued_on, bool_or(differs) AS differing FROM calls GROUP BY ALL) GROUP BY ALL
)
SELECT source, provider, model, coalesce(bool_or(r.is_cost_billed), false) AS is_billed,
  min(accrued_on) FILTER (WHERE clean.last_clean_on IS NULL OR accrued_on > clean.last_clean_on) AS began_on,
  max(accrued_on) AS last_on, count(*) AS call_count, sum(gateway_reported_usd) AS reported_usd,
  sum(effective_usd) AS effective_usd, sum(gateway_reported_usd) - sum(effective_usd) AS difference_usd
FROM calls LEFT JOIN clean USING (source, provider, model)
LEFT JOIN core.requests r USING (source, request_id, started_at)
WHERE differs
GROUP BY ALL ORDER BY abs(difference_usd) DESC, source, provider, model;

-- usd_per_mtok: dollars per million tokens of any group, a ratio of sums; NULL where nothing has a price. Write
-- usd_per_mtok(usage_usd, priced_tokens), or (available_usd, priced_tokens) to compare owned GPUs with an API.
CREATE OR REPLACE MACRO usd_per_mtok(usd, tokens) AS (
  1e6 * CAST(sum(usd) AS DOUBLE) / nullif(sum(tokens), 0)
);

-- usd_per_outcome: dollars for a task over any group of rows of mart.cost_per_outcome; NULL where fewer tasks are
-- covered than the project asks for. Write usd_per_outcome(covered_usd, covered_count, outcome_count, least_coverage_ratio).
CREATE OR REPLACE MACRO usd_per_outcome(usd, covered, outcomes, least) AS (
  CASE WHEN sum(covered) >= max(least) * sum(outcomes) THEN CAST(sum(usd) AS DOUBLE) / nullif(sum(covered), 0) END
);

-- is_default_tier: whether a service tier is the one that a provider serves unless asked for another, however it is
-- spelled (standard, on-demand, pay as you go ...); a tier that is not stated is.
CREATE OR REPLACE MACRO is_default_tier(tier) AS (
  lower(coalesce(tier, '')) IN ('', 'default', 'standard', 'on_demand', 'on-demand', 'ondemand', 'auto', 'spillover', 'payg',
    'paygo', 'pay_as_you_go', 'pay-as-you-go', 'global_standard', 'globalstandard')
);

-- share_so_far: part / whole of an amount, all whole numbers, rounded half-even; differences of growing parts sum to it.
CREATE OR REPLACE MACRO share_so_far(amount, part, whole) AS (
  sign(amount)::HUGEINT * (
    (abs(amount) * part) // whole
    + CASE WHEN 2 * ((abs(amount) * part) % whole) > whole
        OR (2 * ((abs(amount) * part) % whole) = whole AND ((abs(amount) * part) // whole) % 2 = 1) THEN 1 ELSE 0 END
  )
);

-- within_schedule: whether an instant lies in off-peak hours such as 'mon,tue 16:30-00:30' (UTC, by the starting day).
CREATE OR REPLACE MACRO within_schedule(schedule, instant) AS (
  SELECT CASE WHEN begins < ends THEN list_contains(days, today) AND clock >= begins AND clock < ends
    ELSE (list_contains(days, today) AND clock >= begins) OR (list_contains(days, yesterday) AND clock < ends) END
  FROM (
    SELECT string_split(split_part(schedule, ' ', 1), ',') AS days,
      split_part(split_part(schedule, ' ', 2), '-', 1) AS begins, split_part(split_part(schedule, ' ', 2), '-', 2) AS ends,
      strftime(instant AT TIME ZONE 'UTC', '%H:%M') AS clock,
      lower(strftime(instant AT TIME ZONE 'UTC', '%a')) AS today,
      lower(strftime(instant AT TIME ZONE 'UTC' - INTERVAL 1 DAY, '%a')) AS yesterday
  )
);

-- cost_as_known: what each attempt costs by the prices, names, contracts and exchange rates known at an instant, one
-- row per row of core.request_costs whose log row was in the warehouse by then. Token costs are exact; a GPU cost is
-- re-rated in proportion where its price was corrected since (is_exact is then false).
CREATE OR REPLACE MACRO cost_as_known(known_at) AS TABLE
WITH cards AS (
  SELECT price_id, any_value(provider) AS provider, any_value(model) AS model, any_value(region) AS region,
    any_value(service_tier) AS tier, any_value(above_input_tokens) AS above, any_value(long_context_mode) AS mode,
    any_value(schedule) AS schedule, any_value(priced_at) AS priced_at, any_value(layer) AS layer,
    any_value(list_price_id) AS list_price_id, any_value(beyond_price_id) AS beyond_price_id,
    any_value(currency) AS currency, any_value(valid_from) AS valid_from, any_value(valid_to) AS valid_to,
    map_from_entries(list({'meter': meter, 'rate': picodollars_per_unit})) AS rates
  FROM ref.token_prices
  WHERE known_from <= known_at AND (known_to IS NULL OR known_to > known_at)
  GROUP BY price_id
),
names AS (
  SELECT provider, alias, model, valid_from, valid_to FROM ref.models
  WHERE (known_from IS NULL OR known_from <= known_at) AND (known_to IS NULL OR known_to > known_at)
),
own_regions AS (
  SELECT provider, model, region, min(valid_from) AS begins FROM cards
  WHERE region IS NOT NULL AND layer = 'list' GROUP BY ALL
),
meter_names AS (
  -- Fees that logs report are known whether or not a sheet has them: models/schemas/vocabulary.py, FEE_METERS.
  SELECT list_distinct(list_concat(coalesce(list(DISTINCT meter), []), [
    'web_search', 'x_search', 'document_search', 'file_search', 'code_interpreter', 'image_generation', 'maps_grounding',
    'live_search_sources', 'search_context_medium', 'search_context_high', 'audio_seconds', 'video_seconds', 'search_units'
  ])) AS known_meters FROM ref.token_prices
  WHERE unit = 'call' AND known_from <= known_at AND (known_to IS NULL OR known_to > known_at)
),
fx AS (
  SELECT currency, rate_on, arg_max(usd_per_unit, known_from) AS usd_per_unit
  FROM ref.fx_rates WHERE known_from <= known_at GROUP BY ALL
),
-- What deployments.yml says of a name in the record beats the record: of the name that was called, before the answer's.
said AS (
  SELECT r.source, r.request_id, r.started_at, arg_min(d, r.place) AS d
  FROM (
    SELECT source, request_id, started_at, unnest([
      {'place': 1, 'name': routed_model}, {'place': 2, 'name': requested_model}, {'place': 3, 'name': route},
      {'place': 4, 'name': served_model}
    ], recursive := true)
    FROM core.requests WHERE EXISTS (FROM ref.deployments)
  ) r
  JOIN ref.deployments d ON d.alias = r.name AND d.known_from <= known_at AND (d.known_to IS NULL OR d.known_to > known_at)
    AND r.started_at >= d.valid_from AND (d.valid_to IS NULL OR r.started_at < d.valid_to)
  GROUP BY ALL
),
called AS (
  SELECT r.* REPLACE (
      coalesce(s.d.provider, r.provider) AS provider, coalesce(s.d.model, r.served_model) AS served_model,
      coalesce(s.d.region, r.region) AS region, coalesce(s.d.service_tier, r.service_tier) AS service_tier
    ),
    coalesce(s.d.model, r.served_model, r.routed_model, r.requested_model) AS called_as
  FROM core.requests r LEFT JOIN said s ON s.source = r.source AND s.request_id = r.request_id
    AND s.started_at = r.started_at
),
counted AS (
  SELECT r.* EXCLUDE (other_meters), c.accrued_hour, c.accrued_on, c.model, c.cost_basis, c.effective_usd AS current_usd,
    -- A fine-tune that no sheet names costs what the sheet asks for ft:BASE.
    CASE WHEN r.called_as LIKE '%ft:%:%' AND r.called_as NOT IN (SELECT alias FROM names)
      THEN coalesce(nullif(regexp_extract(r.called_as, '^((?:[a-z_]+/)?ft:[^:]+):.+', 1), ''), r.called_as)
      ELSE r.called_as END AS name,
    CASE WHEN is_default_tier(r.service_tier) THEN 'default' ELSE r.service_tier END AS tier,
    list_filter(coalesce(map_entries(r.other_meters), []), lambda one: list_contains(m.known_meters, one.key)) AS meters,
    [
      {'meter': 'cache_read', 'tokens': r.cache_read_tokens}, {'meter': 'cache_read_audio', 'tokens': r.cache_read_audio_tokens},
      {'meter': 'cache_read_image', 'tokens': r.cache_read_image_tokens},
      {'meter': 'cache_write_1h', 'tokens': r.cache_write_1h_tokens}, {'meter': 'cache_write_5m', 'tokens': r.cache_write_5m_tokens},
      {'meter': 'input_uncached', 'tokens': r.input_uncached_tokens}, {'meter': 'audio_input', 'tokens': r.audio_input_tokens},
      {'meter': 'image_input', 'tokens': r.image_input_tokens}, {'meter': 'video_input', 'tokens': r.video_input_tokens},
      {'meter': 'other_input', 'tokens': r.other_input_tokens}
    ] AS inputs,
    [
      {'meter': 'output_text', 'tokens': r.output_text_tokens}, {'meter': 'reasoning', 'tokens': r.reasoning_tokens},
      {'meter': 'audio_output', 'tokens': r.audio_output_tokens}, {'meter': 'image_output', 'tokens': r.image_output_tokens},
      {'meter': 'other_output', 'tokens': r.other_output_tokens}
    ] AS outputs
  FROM core.request_costs c
  JOIN called r ON r.source = c.source AND r.request_id = c.request_id AND r.started_at = c.started_at
  CROSS JOIN meter_names m
  WHERE c.cost_basis = 'token' AND r.ingested_at <= known_at
),
attempts AS (
  SELECT *, list_filter(inputs, lambda one: one.tokens > 0) AS used_inputs,
    list_filter(outputs, lambda one: one.tokens > 0) AS used_outputs,
    coalesce(list_sum(list_transform(inputs, lambda one: one.tokens)), 0) AS total_input,
    usage_source <> 'missing' AND (
      len(list_filter(list_concat(inputs, outputs), lambda one: one.tokens IS NOT NULL)) > 0
      OR len(list_filter(meters, lambda one: one.value > 0)) > 0
    ) AS has_usage
  FROM counted
),
listed AS (
  SELECT a.source, a.request_id, a.started_at, p.price_id, p.beyond_price_id,
    CASE p.priced_at WHEN 'finished' THEN coalesce(a.finished_at, a.started_at) ELSE a.started_at END AS instant
  FROM attempts a
  JOIN names n ON n.provider = a.provider AND n.alias = a.name
  JOIN cards p ON p.provider = a.provider AND p.model = n.model AND p.tier = a.tier AND p.layer = 'list'
  LEFT JOIN own_regions o ON o.provider = a.provider AND o.model = n.model AND o.region = a.region
  WHERE instant >= n.valid_from AND (n.valid_to IS NULL OR instant < n.valid_to)
    AND instant >= p.valid_from AND (p.valid_to IS NULL OR instant < p.valid_to)
    AND p.region IS NOT DISTINCT FROM CASE WHEN o.begins <= instant THEN a.region END
    AND (p.schedule IS NULL OR within_schedule(p.schedule, instant))
    AND (p.above IS NULL OR (p.mode = 'whole_request' AND a.total_input > p.above))
  QUALIFY row_number() OVER (
    PARTITION BY a.source, a.request_id, a.started_at ORDER BY p.schedule IS NULL, p.above IS NULL
  ) = 1
),
rated AS (
  SELECT a.*, l.price_id AS list_id, e.price_id, e.rates, e.currency, b.rates AS further_rates,
    greatest(a.total_input - b.above, 0) AS beyond
  FROM attempts a
  LEFT JOIN listed l ON l.source = a.source AND l.request_id = a.request_id AND l.started_at = a.started_at
  LEFT JOIN cards k ON k.layer = 'contracted' AND k.list_price_id = l.price_id
    AND l.instant >= k.valid_from AND (k.valid_to IS NULL OR l.instant < k.valid_to)
  LEFT JOIN cards e ON e.price_id = coalesce(k.price_id, l.price_id)
  LEFT JOIN cards b ON b.price_id = e.beyond_price_id
),
summed AS (
  SELECT *,
    len(list_filter(list_concat(used_inputs, used_outputs), lambda one: rates[one.meter] IS NULL)) = 0
      AND len(list_filter(meters, lambda one: one.value > 0 AND rates[one.key] IS NULL)) = 0 AS is_covered,
    coalesce(list_sum(list_transform(
      list_concat(used_inputs, used_outputs), lambda one: one.tokens::HUGEINT * rates[one.meter])), 0)
    -- Input beyond a graduated threshold is the last in prompt order: what a class has above what fits before it.
    + coalesce(list_sum(list_transform(range(1, len(used_inputs) + 1), lambda place: (
        least(
          used_inputs[place].tokens,
          greatest(beyond - coalesce(list_sum(list_transform(used_inputs[place + 1:], lambda one: one.tokens)), 0), 0)
        )::HUGEINT * (further_rates[used_inputs[place].meter] - rates[used_inputs[place].meter])
      ))), 0)
    + coalesce(list_sum(list_transform(meters, lambda one: (
        (one.value * 1000000)::HUGEINT * rates[one.key] // 1000000
        + CASE WHEN 2 * ((one.value * 1000000)::HUGEINT * rates[one.key] % 1000000) > 1000000
            OR (2 * ((one.value * 1000000)::HUGEINT * rates[one.key] % 1000000) = 1000000
              AND ((one.value * 1000000)::HUGEINT * rates[one.key] // 1000000) % 2 = 1) THEN 1 ELSE 0 END
      ))), 0)
    + coalesce(rates['request'], 0) AS amount
  FROM rated
),
exchanged AS (
  SELECT s.*, CASE WHEN coalesce(s.currency, 'USD') = 'USD' THEN 1000000000000::HUGEINT
    ELSE (x.usd_per_unit * 1000000000000)::HUGEINT END AS fx
  FROM summed s ASOF LEFT JOIN fx x ON x.currency = s.currency AND s.accrued_on >= x.rate_on
),
token_costs AS (
  SELECT source, request_id, logical_request_id, started_at, accrued_hour, accrued_on, provider, region, route, model,
    tenant, cost_basis, current_usd,
    CASE WHEN is_gateway_cache_hit OR (status = 'error' AND NOT has_usage) THEN 0
      WHEN list_id IS NULL AND lower(service_tier)
        IN ('provisioned', 'reserved', 'provisioned_throughput', 'ptu', 'gsu', 'scale') THEN 0
      WHEN has_usage AND is_covered AND rates IS NOT NULL AND fx IS NOT NULL THEN
        amount * fx // 1000000000000
        + CASE WHEN 2 * (amount * fx % 1000000000000) > 1000000000000
            OR (2 * (amount * fx % 1000000000000) = 1000000000000 AND (amount * fx // 1000000000000) % 2 = 1)
          THEN 1 ELSE 0 END
      -- What the provider says that it charged is the price of what the book has none for.
      WHEN is_cost_billed AND provider_reported_cost_usd BETWEEN 0 AND 900000 THEN
        (TRY_CAST(provider_reported_cost_usd AS DECIMAL(18,12)) * 1000000000000)::HUGEINT
    END AS picodollars,
    CASE WHEN has_usage AND is_covered AND fx IS NOT NULL THEN price_id END AS price_id, true AS is_exact
  FROM exchanged
),
gpu_costs AS (
  SELECT c.source, c.request_id, c.logical_request_id, c.started_at, c.accrued_hour, c.accrued_on, c.provider, c.region,
    c.route, c.model, c.tenant, c.cost_basis, c.effective_usd AS current_usd,
    CASE WHEN k.picodollars_per_gpu_hour = p.picodollars_per_gpu_hour
      THEN (c.effective_usd * 1000000000000)::HUGEINT
      ELSE (c.effective_usd * 1000000000000)::HUGEINT * k.picodollars_per_gpu_hour // nullif(p.picodollars_per_gpu_hour, 0)
    END AS picodollars,
    k.price_id, k.picodollars_per_gpu_hour IS NOT DISTINCT FROM p.picodollars_per_gpu_hour AS is_exact
  FROM core.request_costs c
  JOIN core.requests r ON r.source = c.source AND r.request_id = c.request_id AND r.started_at = c.started_at
  LEFT JOIN ref.gpu_prices p ON p.price_id = c.price_id
  LEFT JOIN ref.gpu_prices k ON k.provider = p.provider AND k.chip = p.chip AND k.commitment = p.commitment
    AND k.region IS NOT DISTINCT FROM p.region AND k.model IS NOT DISTINCT FROM p.model
    AND k.valid_from <= c.accrued_hour
    AND (k.valid_to IS NULL OR k.valid_to > c.accrued_hour)
    AND k.known_from <= known_at AND (k.known_to IS NULL OR k.known_to > known_at)
  WHERE c.cost_basis = 'gpu' AND r.ingested_at <= known_at
)
SELECT * EXCLUDE (picodollars, current_usd, price_id, is_exact),
  CAST(picodollars * 0.000000000001::DECIMAL(13,12) AS DECIMAL(18,12)) AS effective_usd, current_usd,
  CAST(current_usd - picodollars * 0.000000000001::DECIMAL(13,12) AS DECIMAL(18,12)) AS difference_usd, price_id, is_exact
FROM (FROM token_costs UNION ALL BY NAME FROM gpu_costs)
ORDER BY started_at, source, request_id, accrued_hour, accrued_on;

-- spend: the whole of [from_on, to_on), one row per day x component x dimensions; components sum to the total.
-- 'booked' puts a correction of a closed period on the day it was booked, 'corrected' on the day it corrects.
CREATE OR REPLACE MACRO spend(from_on, to_on, view) AS TABLE
SELECT spent_on, component, provider, region, route, model, chip, tenant, CAST(sum(usd) AS DECIMAL(38,12)) AS spend_usd
FROM (
  SELECT accrued_on AS spent_on, CASE cost_basis WHEN 'gpu' THEN 'gpu_serving' ELSE 'tokens' END AS component,
    provider, region, route, model, chip, tenant, CAST(effective_usd AS DECIMAL(38,12)) AS usd
  FROM core.request_costs
  UNION ALL
  SELECT accrued_on, 'gpu_' || part, provider, region, deployment, model, chip, NULL, part_usd
  FROM (
    SELECT accrued_on, provider, region, deployment, model, chip,
      unnest([
        {'part': 'starting', 'part_usd': starting_usd}, {'part': 'idle', 'part_usd': idle_usd},
        {'part': 'draining', 'part_usd': draining_usd}, {'part': 'failed', 'part_usd': failed_usd},
        {'part': 'padding', 'part_usd': padding_usd}, {'part': 'unheld', 'part_usd': unheld_usd},
        {'part': 'unused_commitment', 'part_usd': unused_commitment_usd}
      ], recursive := true)
    FROM core.pool_hours
  )
  UNION ALL
  SELECT accrued_on, 'other_charges', provider, region, route, model, chip, tenant, effective_usd
  FROM core.other_charges
  UNION ALL
  SELECT
    CASE view WHEN 'booked' THEN booked_on ELSE accrued_on END,
    'adjustments', provider, region, coalesce(route, deployment), model, chip, tenant, difference_usd
  FROM core.adjustments
)
WHERE CASE WHEN view IN ('booked', 'corrected') THEN usd <> 0
    ELSE error('spend() knows the views booked and corrected: write spend(from_on, to_on, ''booked'').') END
  AND spent_on >= CAST(from_on AS DATE) AND spent_on < CAST(to_on AS DATE)
GROUP BY ALL;

-- price_history: the dated rates of the models that were used, one row per rate, with the rate before it. A change_ratio
-- of 0.1 is 10 % dearer. Rates are those of the default tier unless another was used; corrected entries are left out.
CREATE OR REPLACE MACRO price_history() AS TABLE
WITH used AS (
  SELECT provider, model, CASE WHEN is_default_tier(service_tier) THEN 'default' ELSE service_tier END AS service_tier,
    min(accrued_on) AS first_used_on, max(accrued_on) AS last_used_on, sum(total_tokens) AS tokens
  FROM mart.cost_per_token_daily WHERE cost_basis = 'token' GROUP BY ALL
),
rates AS (
  SELECT p.provider, p.model, p.model_family AS family, p.region, p.service_tier, p.above_input_tokens, p.schedule, p.layer,
    p.contract, p.meter, p.valid_from, p.valid_to, p.known_from, coalesce(p.currency, 'USD') AS currency, p.rate_per_mtok,
    lag(p.rate_per_mtok) OVER (
      PARTITION BY p.provider, p.model, p.region, p.service_tier, p.above_input_tokens, p.schedule, p.layer, p.contract, p.meter
      ORDER BY p.valid_from, p.known_from
    ) AS before_rate_per_mtok,
    u.first_used_on, u.last_used_on, u.tokens, p.source_url
  FROM ref.token_prices p JOIN used u USING (provider, model, service_tier)
  WHERE p.unit = 'token' AND p.known_to IS NULL AND p.rate_per_mtok IS NOT NULL AND NOT coalesce(p.is_assumed, false)
)
SELECT *, CAST(rate_per_mtok AS DOUBLE) / nullif(CAST(before_rate_per_mtok AS DOUBLE), 0) - 1 AS change_ratio
FROM rates ORDER BY provider, model, service_tier, region, above_input_tokens, schedule, layer, contract, meter, valid_from;

-- what_if: what the calls of a route would have cost, had another model at another provider served them at its list
-- prices of each day, token for token. A class without a rate costs what plain input, or output, costs; unpriced_tokens
-- had no price as they were served, and are in both sides' tokens and in the what-if alone.
CREATE OR REPLACE MACRO what_if(moved_route, to_provider, to_model, from_on, to_on) AS TABLE
WITH calls AS (
  SELECT accrued_on, provider, model, sum(request_count) AS request_count, sum(total_tokens) AS total_tokens,
    sum(unpriced_tokens) AS unpriced_tokens, sum(available_usd) AS available_usd, sum(estimated_usd) AS estimated_usd,
    sum(coalesce(input_uncached_tokens, 0) + coalesce(audio_input_tokens, 0) + coalesce(image_input_tokens, 0)
      + coalesce(video_input_tokens, 0) + coalesce(other_input_tokens, 0)) AS plain,
    sum(coalesce(cache_read_tokens, 0) + coalesce(cache_read_audio_tokens, 0) + coalesce(cache_read_image_tokens, 0)) AS cached,
    sum(coalesce(cache_write_5m_tokens, 0)) AS written, sum(coalesce(cache_write_1h_tokens, 0)) AS written_1h,
    sum(output_tokens) AS answered
  FROM mart.cost_per_token_daily
  WHERE route = moved_route AND accrued_on >= CAST(from_on AS DATE) AND accrued_on < CAST(to_on AS DATE) GROUP BY ALL
),
rates AS (
  SELECT valid_from, valid_to, max(usd_per_mtok) FILTER (meter = 'input_uncached') AS plain,
    coalesce(max(usd_per_mtok) FILTER (meter = 'cache_read'), max(usd_per_mtok) FILTER (meter = 'input_uncached')) AS cached,
    coalesce(max(usd_per_mtok) FILTER (meter = 'cache_write_5m'), max(usd_per_mtok) FILTER (meter = 'input_uncached')) AS written,
    coalesce(max(usd_per_mtok) FILTER (meter = 'cache_write_1h'), max(usd_per_mtok) FILTER (meter = 'cache_write_5m'),
      max(usd_per_mtok) FILTER (meter = 'input_uncached')) AS written_1h,
    max(usd_per_mtok) FILTER (meter = 'output_text') AS answered
  FROM ref.token_prices
  WHERE provider = to_provider AND model IN (
      SELECT model FROM ref.models WHERE provider = to_provider AND alias = to_model UNION ALL SELECT to_model
    ) AND layer = 'list' AND service_tier = 'default' AND region IS NULL AND above_input_tokens IS NULL
    AND schedule IS NULL AND known_to IS NULL AND coalesce(currency, 'USD') = 'USD'
  GROUP BY price_id, valid_from, valid_to
)
SELECT c.provider, c.model, sum(c.request_count)::BIGINT AS request_count, sum(c.total_tokens)::BIGINT AS total_tokens,
  sum(c.unpriced_tokens)::BIGINT AS unpriced_tokens, sum(c.available_usd) AS available_usd,
  CASE WHEN count(r.plain) = count(*) THEN sum((c.plain * r.plain + c.cached * r.cached + c.written * r.written
    + c.written_1h * r.written_1h + c.answered * coalesce(r.answered, 0))::DOUBLE / 1e6) END AS what_if_usd,
  what_if_usd - sum(c.available_usd)::DOUBLE AS difference_usd
FROM calls c LEFT JOIN rates r ON r.valid_from < c.accrued_on + 1 AND (r.valid_to IS NULL OR r.valid_to >= c.accrued_on + 1)
GROUP BY c.provider, c.model ORDER BY available_usd DESC NULLS LAST;

-- attempts: one row per attempt that began on a business day of [from_on, to_on), with its whole cost, all input and output
-- tokens in one column each, and who asked. `usd` is NULL where it has no price. Gateway-cache hits have attempt_no 0.
CREATE OR REPLACE MACRO attempts(from_on, to_on) AS TABLE
WITH later AS (
  SELECT source, request_id, started_at, sum(effective_usd) AS usd, sum(saved_usd) AS saved
  FROM core.request_costs
  -- A call lasts two days at most.
  WHERE NOT is_first_accrual AND accrued_on >= CAST(from_on AS DATE) AND accrued_on < CAST(to_on AS DATE) + 3
  GROUP BY ALL
),
said AS (
  SELECT source, request_id, started_at, user_id, api_key_id, trace_id, batch_id, replica_id, tags, error_class, fallback_cause
  FROM core.requests
  WHERE started_at >= CAST(from_on AS TIMESTAMPTZ) - INTERVAL 3 DAY AND started_at < CAST(to_on AS TIMESTAMPTZ) + INTERVAL 3 DAY
)
SELECT c.accrued_on, c.started_at, c.source, c.request_id, coalesce(c.logical_request_id, c.request_id) AS logical_request_id,
  c.provider, c.region, c.route, c.requested_model, c.model, c.model_family, c.chip, c.deployment, c.cost_basis, c.service_tier,
  c.tenant, c.team, c.feature, c.environment, c.agent, s.user_id, s.api_key_id, c.session_id, s.trace_id, s.batch_id,
  s.replica_id, s.tags, c.operation, c.task_class, c.status, s.error_class, c.attempt_no, c.is_fallback, s.fallback_cause,
  c.first_token_seconds, c.duration_seconds,
  coalesce(c.input_uncached_tokens, 0) + coalesce(c.cache_read_tokens, 0) + coalesce(c.cache_write_5m_tokens, 0)
    + coalesce(c.cache_write_1h_tokens, 0) + coalesce(c.audio_input_tokens, 0) + coalesce(c.image_input_tokens, 0)
    + coalesce(c.video_input_tokens, 0) + coalesce(c.cache_read_audio_tokens, 0) + coalesce(c.cache_read_image_tokens, 0)
    + coalesce(c.other_input_tokens, 0) AS input_tokens,
  coalesce(c.cache_read_tokens, 0) + coalesce(c.cache_read_audio_tokens, 0) + coalesce(c.cache_read_image_tokens, 0)
    AS cache_read_tokens,
  coalesce(c.image_input_tokens, 0) + coalesce(c.cache_read_image_tokens, 0) AS image_input_tokens,
  coalesce(c.output_text_tokens, 0) + coalesce(c.reasoning_tokens, 0) + coalesce(c.audio_output_tokens, 0)
    + coalesce(c.image_output_tokens, 0) + coalesce(c.other_output_tokens, 0) AS output_tokens,
  coalesce(c.reasoning_tokens, 0) AS reasoning_tokens, coalesce(c.image_output_tokens, 0) AS image_output_tokens,
  c.usage_source, c.price_state, c.unpriced_reason, c.list_usd,
  CASE WHEN l.usd IS NULL THEN c.effective_usd ELSE coalesce(c.effective_usd, 0) + l.usd END AS usd,
  CASE WHEN l.saved IS NULL THEN c.saved_usd ELSE coalesce(c.saved_usd, 0) + l.saved END AS saved_usd,
  c.estimated_usd, c.is_provisional
FROM core.request_costs c
LEFT JOIN later l ON l.source = c.source AND l.request_id = c.request_id AND l.started_at = c.started_at
LEFT JOIN said s ON s.source = c.source AND s.request_id = c.request_id AND s.started_at = c.started_at
WHERE c.is_first_accrual AND c.accrued_on >= CAST(from_on AS DATE) AND c.accrued_on < CAST(to_on AS DATE);
