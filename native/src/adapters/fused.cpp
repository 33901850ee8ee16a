#include "adapters/fused.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>

namespace atelier {
namespace {

// Output rows of each part: equal for query, key and value; the MLP of a single block has the rest beside three of the
// width.
std::vector<int64_t> part_rows(const FluxModule& names, const LoraModule& m, const std::string& label) {
    if (names.parts.size() == 1) return {m.out};
    const int64_t rest = m.out - 3 * m.in;
    const bool fits = names.parts.size() == 3 ? m.out % 3 == 0 : rest > 0;
    require(fits, ErrorCode::corrupt, label, ": ", in_quotes(names.kohya), " has ", m.out, " outputs and ", m.in,
        " inputs, which do not make ", names.parts.size() == 3 ? "query, key and value" : "query, key, value and MLP");
    if (names.parts.size() == 3) return {m.out / 3, m.out / 3, m.out / 3};
    return {m.in, m.in, m.in, rest};
}

bool zero_block(const LoraModule& m, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    for (int64_t i = row; i < row + rows; ++i)
        for (int64_t j = column; j < column + columns; ++j)
            if (m.b[static_cast<size_t>(i * m.rank + j)] != 0) return false;
    return true;
}

// Whether B is zero outside a diagonal of equal blocks, one for each of the `owners` among the parts.
bool block_diagonal(const LoraModule& m, const std::vector<int64_t>& rows, const std::vector<bool>& owners) {
    const int64_t blocks = std::count(owners.begin(), owners.end(), true);
    if (blocks == 0 || m.rank % blocks != 0) return false;
    const int64_t rank = m.rank / blocks;
    int64_t row = 0, first = 0;
    for (size_t p = 0; p < rows.size(); row += rows[p], ++p) {
        const int64_t own = owners[p] ? rank : 0;
        if (!zero_block(m, row, rows[p], 0, first) || !zero_block(m, row, rows[p], first + own, m.rank - first - own))
            return false;
        first += own;
    }
    return true;
}

LoraModule cut(const LoraModule& m, int64_t row, int64_t rows, int64_t first, int64_t rank) {
    LoraModule part{rank, m.in, rows, m.alpha * static_cast<float>(rank) / static_cast<float>(m.rank), {}, {}};
    part.a.assign(m.a.begin() + first * m.in, m.a.begin() + (first + rank) * m.in);
    for (int64_t i = row; i < row + rows; ++i)
        part.b.insert(part.b.end(), m.b.begin() + i * m.rank + first, m.b.begin() + i * m.rank + first + rank);
    return part;
}

bool all_zero(const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return x == 0; });
}

} // namespace

void swap_halves(LoraModule& m) {
    std::rotate(m.b.begin(), m.b.begin() + static_cast<std::ptrdiff_t>(m.b.size() / 2), m.b.end());
}

void split(const FluxModule& names, const LoraModule& m, const std::string& label, const TakeModule& take) {
    const std::vector<int64_t> rows = part_rows(names, m, label);
    std::vector<bool> every(rows.size(), true), used;
    int64_t row = 0;
    for (int64_t count : rows) {
        used.push_back(!zero_block(m, row, count, 0, m.rank));
        row += count;
    }
    const std::vector<bool>* owners = block_diagonal(m, rows, every)  ? &every
                                      : block_diagonal(m, rows, used) ? &used
                                                                      : nullptr;
    const int64_t rank = owners ? m.rank / std::count(owners->begin(), owners->end(), true) : m.rank;
    int64_t first = 0;
    row = 0;
    for (size_t p = 0; p < rows.size(); row += rows[p], ++p) {
        if (owners ? !(*owners)[p] : !used[p]) continue;
        LoraModule part = cut(m, row, rows[p], first, rank);
        if (owners) first += rank;
        // A part that is not adapted was filled with zeros; one that was never trained still has its random A.
        if (rows.size() > 1 && all_zero(part.a) && all_zero(part.b)) continue;
        take(names.parts[p], std::move(part));
    }
}

} // namespace atelier
