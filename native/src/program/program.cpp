#include "program/program.h"
#include "memory/constants.h"
#include "program/placement.h"
#include <algorithm>

namespace atelier {

Sym Program::add(int64_t rows, int64_t cols, const char* name, DType dtype, bool persistent) {
    require(!planned_, ErrorCode::internal, "buffer ", name, " added to a planned program");
    require(rows >= 0 && cols >= 0, ErrorCode::internal, "buffer ", name, " of ", rows, "x", cols);
    const uint64_t bytes = static_cast<uint64_t>(rows) * static_cast<uint64_t>(cols) * dtype_size(dtype);
    buffers_.push_back({(bytes + kAlignment - 1) / kAlignment * kAlignment, name, persistent});
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

void Program::begin_op(const char* name, bool idle) {
    require(!planned_, ErrorCode::internal, "op ", name, " added to a planned program");
    if (idle) return;
    if (first_busy_ == kNever) first_busy_ = ops_.size();
    last_busy_ = ops_.size();
}

void Program::touch(const Sym& s, Access access, size_t op) {
    if (!s) return;
    Buffer& b = buffers_[s.buffer];
    b.first = std::min(b.first, op);
    b.last = std::max(b.last, op);
    if (access != Access::read) b.written = std::min(b.written, op);
    if (access != Access::write) b.read = std::min(b.read, op);
}

void Program::touch_at(size_t op, const std::vector<Sym>& matrices, Access access) {
    require(!planned_ && op < ops_.size(), ErrorCode::internal, "op ", op, " of ", ops_.size(),
        " touches more than it was emitted with");
    for (const Sym& s : matrices) touch(s, access, op);
}

const ProgramPlan& Program::plan() {
    if (planned_) return plan_;
    std::vector<Interval> intervals;
    intervals.reserve(buffers_.size());
    const auto end = static_cast<int64_t>(ops_.size());
    for (const Buffer& b : buffers_) {
        if (b.external || !(b.persistent || b.used())) intervals.push_back({0, 0, 0}); // takes no room
        else if (b.persistent) intervals.push_back({b.bytes, -1, end});
        else {
            require(b.read == kNever || b.written < b.read, ErrorCode::internal, "op ", b.read, " (",
                ops_[std::min(b.read, ops_.size() - 1)]->name(), ") reads the matrix \"", b.name,
                "\", which no op before it writes");
            intervals.push_back({b.bytes, static_cast<int64_t>(b.first), static_cast<int64_t>(b.last)});
        }
    }
    Placement placed = place(intervals);
    plan_ = {placed.total_bytes, placed.lower_bound_bytes, std::move(placed.offsets)};
    planned_ = true;
    return plan_;
}

void Program::check_alive(const Buffer& b, size_t op) const {
    if (b.persistent) return;
    if (op == kNever) {
        require(b.first <= first_busy_ || (b.used() && b.last >= last_busy_), ErrorCode::internal, "the matrix \"",
            b.name, "\" is used beside a run, and lives only in it: record it among Inputs or Outputs");
        return;
    }
    if (b.first <= op && op <= b.last) return;
    fail(ErrorCode::internal, "op ", op, " (", ops_[op]->name(), ") uses the matrix \"", b.name,
        "\", which lives from op ", b.first, " to ", b.last, ": it must be a member of the op's record");
}

uint64_t Program::bytes_carried(Span from, Span to) const {
    uint64_t bytes = 0;
    for (const Buffer& b : buffers_)
        if (!b.persistent && b.used() && b.first >= from.begin && b.first < from.end && b.last >= to.begin &&
            b.last < to.end)
            bytes += b.bytes;
    return bytes;
}

View Program::Resolver::operator()(const Sym& s) const {
    if (!s) return {};
    const Buffer& b = program_.buffers_[s.buffer];
    const uint64_t size = dtype_size(s.dtype), begin = static_cast<uint64_t>(s.offset) * size;
    if (b.external) {
        require(b.bound != nullptr, ErrorCode::internal, "buffer ", b.name, " is used before it was bound");
        return View{static_cast<std::byte*>(b.bound) + begin, s.rows, s.cols, s.ld, s.dtype};
    }
    program_.check_alive(b, op_);
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
View Program::Resolver::operator()(const Table& constant) const {
    return program_.constants_ ? program_.constants_->at(constant.host) : constant.host;
}

uint64_t Program::run(
    Ops& ops, std::byte* arena, const Progress& progress, const std::function<void(size_t)>& before) const {
    require(planned_, ErrorCode::internal, "program run before it was planned");
    Resolver resolve(*this, arena);
    for (resolve.op_ = 0; resolve.op_ < ops_.size(); ++resolve.op_) {
        progress.check();
        if (before) before(resolve.op_);
        ops_[resolve.op_]->run(ops, resolve);
    }
    if (before) before(ops_.size());
    return (resolve.high_water() + kAlignment - 1) / kAlignment * kAlignment;
}

} // namespace atelier
