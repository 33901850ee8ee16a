#include "program/sym.h"
#include "base/error.h"

namespace atelier {

Sym Sym::row_range(int64_t begin, int64_t count) const {
    require(begin >= 0 && count >= 0 && begin + count <= rows, ErrorCode::internal, "rows ", begin, "+", count, " of ",
        rows);
    Sym s = *this;
    s.offset += begin * ld;
    s.rows = count;
    return s;
}

Sym Sym::col_range(int64_t begin, int64_t count) const {
    require(begin >= 0 && count >= 0 && begin + count <= cols, ErrorCode::internal, "columns ", begin, "+", count,
        " of ", cols);
    Sym s = *this;
    s.offset += begin;
    s.cols = count;
    return s;
}

Sym Sym::reshape(int64_t new_rows, int64_t new_cols) const {
    require(ld == cols && new_rows * new_cols == rows * cols, ErrorCode::internal, "reshape ", rows, "x", cols, " (ld ",
        ld, ") to ", new_rows, "x", new_cols);
    Sym s = *this;
    s.rows = new_rows;
    s.cols = s.ld = new_cols;
    return s;
}

} // namespace atelier
