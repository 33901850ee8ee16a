#include "program/parking.h"
#include "base/error.h"
#include "memory/stream_schedule.h"
#include "ops/ops.h"
#include <algorithm>

namespace atelier {
namespace {

// Behind those of the two kinds of weights. One in each direction is enough: an item is awaited before the next one
// begins.
constexpr int kOut = 2 * kStreamSlots, kBack = kOut + 1;
static_assert(kBack < Memory::kSlots);

uint64_t bytes_of(const Sym& s) { return static_cast<uint64_t>(s.rows * s.cols) * dtype_size(s.dtype); }

} // namespace

size_t Parking::emit_point(bool await_back, const std::vector<Sym>& touches) {
    const size_t index = points_.size();
    points_.push_back({program_.op_count(), false, await_back, {}});
    program_.emit(
        "transfers", touches, [this, index](Ops& ops, const Program::Resolver& at) { run(points_[index], ops, at); });
    return index;
}

void Parking::run(const Point& point, Ops& ops, const Program::Resolver& at) const {
    if (point.await_out) ops.memory().await(kOut);
    if (point.await_back) ops.memory().await(kBack);
    for (const size_t i : point.fetches) {
        const Item& item = items_[i];
        for (size_t k = 0; k < item.to.size(); ++k)
            if (item.to[k])
                ops.memory().fetch(kBack, at(item.to[k]).data, host_ + item.offsets[k], bytes_of(item.to[k]));
    }
}

void Parking::step() { emit_point(false, {}); }

size_t Parking::leave(const std::vector<Sym>& matrices) {
    const size_t before = leaving_;
    Item item{matrices, {}, {}, 0};
    for (const Sym& s : matrices) {
        require(!s || s.ld == s.cols, ErrorCode::internal, "a slice of a matrix cannot be parked");
        item.offsets.push_back(host_bytes_);
        if (s) host_bytes_ += (bytes_of(s) + Program::kAlignment - 1) / Program::kAlignment * Program::kAlignment;
    }
    leaving_ = items_.size();
    leaving_since_ = points_.size();
    std::vector<Sym> touches = matrices;
    if (before != kNone) { // it had this item's step to leave beside
        touches.insert(touches.end(), items_[before].from.begin(), items_[before].from.end());
        items_[before].home = points_.size();
    }
    items_.push_back(std::move(item));
    program_.emit(
        "park", touches, [this, index = leaving_, wait = before != kNone](Ops& ops, const Program::Resolver& at) {
            require(host_ != nullptr, ErrorCode::internal, "tensors are parked before there is host memory for them");
            const Item& item = items_[index];
            if (wait) ops.memory().await(kOut);
            for (size_t k = 0; k < item.from.size(); ++k)
                if (item.from[k])
                    ops.memory().park(kOut, host_ + item.offsets[k], at(item.from[k]).data, bytes_of(item.from[k]));
        });
    return leaving_;
}

void Parking::settle() {
    if (leaving_ == kNone) return;
    if (points_.size() == leaving_since_) step();
    Item& item = items_[leaving_];
    item.home = std::min(leaving_since_ + 1, points_.size() - 1);
    points_[item.home].await_out = true;
    program_.touch_at(points_[item.home].op, item.from);
    leaving_ = kNone;
}

std::vector<Sym> Parking::back(size_t index) {
    settle();
    Item& item = items_[index];
    require(item.to.empty(), ErrorCode::internal, "item ", index, " of what is parked comes back twice");
    if (points_.size() == item.home) step();
    const size_t ahead = last_back_ != kNone ? last_back_ : points_.size() - std::min<size_t>(points_.size(), 2);
    for (const Sym& s : item.from)
        item.to.push_back(s ? program_.temp(s.rows, s.cols, "brought back", s.dtype) : Sym{});
    Point& begin = points_[std::max(ahead, item.home)];
    begin.fetches.push_back(index);
    program_.touch_at(begin.op, item.to);
    last_back_ = emit_point(true, item.to);
    return item.to;
}

void await_parking(Memory& memory) {
    memory.await(kOut);
    memory.await(kBack);
}

} // namespace atelier
