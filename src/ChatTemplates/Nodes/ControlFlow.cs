using Eigengate.ChatTemplates.Runtime;
using Eigengate.ChatTemplates.Syntax;

namespace Eigengate.ChatTemplates.Nodes;

internal sealed class If(Position position, Expression condition, Block then, Statement? otherwise) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        if (Kinds.IsTrue(state, condition.Evaluate(state)))
            return then.Execute(state);
        return otherwise?.Execute(state) ?? Flow.Next;
    }
}

internal sealed class LoopControl(Position position, Flow flow) : Statement(position)
{
    protected override Flow Run(RenderState state) => flow;
}

internal sealed class For(
    Position position, Target target, Expression source, Expression? filter, Block body, Block? otherwise) : Statement(position)
{
    protected override Flow Run(RenderState state)
    {
        Scope outer = state.Scope;
        IReadOnlyList<object?> items = Kinds.Items(state, source.Evaluate(state));
        if (filter is not null)
            items = Filtered(state, items, filter);
        if (items.Count == 0)
            return otherwise?.Execute(state) ?? Flow.Next;

        var loop = new LoopValue(items);
        Flow flow = Flow.Next;
        for (int i = 0; i < items.Count && flow != Flow.Break; i++)
        {
            loop.Index = i;
            state.Scope = new Scope(outer);
            state.Scope.Set("loop", loop);
            target.Assign(state, items[i]);
            flow = body.Execute(state);
        }

        state.Scope = outer;
        return Flow.Next;
    }

    private List<object?> Filtered(RenderState state, IReadOnlyList<object?> items, Expression condition)
    {
        Scope outer = state.Scope;
        var kept = new List<object?>();
        foreach (object? item in items)
        {
            state.Scope = new Scope(outer);
            target.Assign(state, item);
            if (Kinds.IsTrue(state, condition.Evaluate(state)))
                kept.Add(item);
        }

        state.Scope = outer;
        return kept;
    }
}
