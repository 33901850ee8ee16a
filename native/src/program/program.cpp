#include "program/program.h"
#include "memory/constants.h"
#include "program/placement.h"
#include <algorithm>

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

Sym Program::add(int64_t rows, int64_t cols, const char* name, DType dtype, bool persistent) {
    require(!planned_, ErrorCode::internal, "buffer ", name, " added to a planned program");
    require(rows >= 0 && cols >= 0, ErrorCode::internal, "buffer ", name, " of ", rows, "x", cols);
    const uint64_t bytes = static_cast<uint64_t>(rows) * static_cast<uint64_t>(cols) * dtype_size(dtype);
    buffers_.push_back({(bytes + kAlignment - 1) / kAlignment * kAlignment, name, -1, -1, persistent});
    return Sym{static_cast<BufferId>(buffers_.size() - 1), 0, rows, cols, cols, dtype};
}

Sym Program::temp(int64_t rows, int64_t cols, const char* name, DType dtype) {
    return add(rows, cols, name, dtype, false);
}

Sym Program::persistent(int64_t rows, int64_t cols, const char* name, DType dtype) {
    return add(rows, cols, name, dtype, true);
}

Sym Program::external(int64_t rows, int64_t cols, const char* name, DType dtype) {
    const Sym s = add(rows, cols, name, dtype, true);
    buffers_[s.buffer].external = true;
    return s;
}

void Program::bind(const Sym& external, void* data) {
    Buffer& b = buffers_[external.buffer];
    require(b.external, ErrorCode::internal, "buffer ", b.name, " lies in the arena and cannot be bound");
    b.bound = data;
}

void Program::touch(const Sym& s, int64_t op) {
    if (!s) return;
    Buffer& b = buffers_[s.buffer];
    b.first = b.first < 0 ? op : std::min(b.first, op);
    b.last = std::max(b.last, op);
}

void Program::emit(const char* name, std::initializer_list<Sym> touches, Run run) {
    emit(name, std::vector<Sym>(touches), std::move(run));
}

void Program::emit(const char* name, const std::vector<Sym>& touches, Run run) {
    require(!planned_, ErrorCode::internal, "op ", name, " added to a planned program");
    for (const Sym& s : touches) touch(s, static_cast<int64_t>(ops_.size()));
    ops_.push_back({name, std::move(run)});
}

void Program::touch_at(size_t op, const std::vector<Sym>& touches) {
    require(!planned_ && op < ops_.size(), ErrorCode::internal, "op ", op, " of ", ops_.size(),
        " touches more than it was emitted with");
    for (const Sym& s : touches) touch(s, static_cast<int64_t>(op));
}

const ProgramPlan& Program::plan() {
    if (planned_) return plan_;
    std::vector<Interval> intervals;
    intervals.reserve(buffers_.size());
    const int64_t end = static_cast<int64_t>(ops_.size());
    for (const Buffer& b : buffers_) {
        if (b.external) intervals.push_back({0, 0, 0});
        else if (b.persistent) intervals.push_back({b.bytes, -1, end});
        else if (b.first < 0) // never used: takes no room
            intervals.push_back({0, 0, 0});
        else intervals.push_back({b.bytes, b.first, b.last});
    }
    Placement placed = place(intervals);
    plan_ = {placed.total_bytes, placed.lower_bound_bytes, std::move(placed.offsets)};
    planned_ = true;
    return plan_;
}

void Program::check_alive(const Buffer& b, int64_t op) const {
    require(b.persistent || (b.first <= op && op <= b.last), ErrorCode::internal, "op ", op, " (",
        ops_[static_cast<size_t>(op)].name, ") uses the matrix \"", b.name, "\", which lives from op ", b.first, " to ",
        b.last, ": it must be among the matrices that the op touches");
}

View Program::Resolver::operator()(const Sym& s) const {
    if (!s) return {};
    const Buffer& b = program_.buffers_[s.buffer];
    const uint64_t size = dtype_size(s.dtype), begin = static_cast<uint64_t>(s.offset) * size;
    if (b.external) {
        require(b.bound != nullptr, ErrorCode::internal, "buffer ", b.name, " is used before it was bound");
        return View{static_cast<std::byte*>(b.bound) + begin, s.rows, s.cols, s.ld, s.dtype};
    }
    if (op_ != kOutside) program_.check_alive(b, op_);
    const uint64_t at = program_.plan_.offsets[s.buffer] + begin;
    if (s.rows > 0)
        high_water_ = std::max(high_water_, at + static_cast<uint64_t>((s.rows - 1) * s.ld + s.cols) * size);
    return View{arena_ + at, s.rows, s.cols, s.ld, s.dtype};
}

Weight Program::Resolver::operator()(const Weight& constant) const {
    return program_.constants_ ? program_.constants_->at(constant) : constant;
}
const float* Program::Resolver::operator()(const float* constant) const {
    return program_.constants_ ? program_.constants_->at(constant) : constant;
}
View Program::Resolver::operator()(const View& constant) const {
    return program_.constants_ ? program_.constants_->at(constant) : constant;
}

uint64_t Program::run(Ops& ops, std::byte* arena, const Progress& progress) const {
    require(planned_, ErrorCode::internal, "program run before it was planned");
    Resolver resolve(*this, arena);
    for (const Op& op : ops_) {
        progress.check();
        ++resolve.op_;
        op.run(ops, resolve);
    }
    return (resolve.high_water() + kAlignment - 1) / kAlignment * kAlignment;
}

} // namespace atelier
