using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;

namespace Eigengate.ChatTemplates.Nodes;

internal sealed class AttributeAccess(Position position, Expression target, string name) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? value = target.Evaluate(state);
        state.At(this);
        return Access.Attribute(state, value, name);
    }
}

internal sealed class ItemAccess(Position position, Expression target, Expression key) : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? value = target.Evaluate(state);
        object? index = key.Evaluate(state);
        state.At(this);
        return Access.Item(state, value, index);
    }
}

internal sealed class SliceAccess(Position position, Expression target, Expression? start, Expression? stop, Expression? step)
    : Expression(position)
{
    protected override object? Compute(RenderState state)
    {
        object? value = target.Evaluate(state);
        object? from = start?.Evaluate(state);
        object? to = stop?.Evaluate(state);
        object? stride = step?.Evaluate(state);
        state.At(this);
        return Access.Slice(state, value, from, to, stride);
    }
}
