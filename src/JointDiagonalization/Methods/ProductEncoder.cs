using Eigengate.JointDiagonalization.Storage;
using Eigengate.Safetensors;
using static TorchSharp.torch;

namespace Eigengate.JointDiagonalization.Methods;

/// <summary>
/// Products on a given basis, as a bundle stores and serves them: the best core, rounded, then the private residual of what
/// that core misses, rounded. The basis does not move, so members and newcomers are treated alike.
/// </summary>
internal static class ProductEncoder
{
    /// <param name="factors">Products of one module; their owners become <see cref="StoredProduct.Adapter"/>.</param>
    /// <param name="basis">The basis as stored, or null: then only the residual is kept.</param>
    /// <param name="form">What is kept.</param>
    /// <param name="cancellation">Checked between chunks of products.</param>
    internal static StoredProduct[] Encode(CanonicalFactors factors, SharedBasis? basis, StorageForm form, CancellationToken cancellation)
    {
        if (factors.Count == 0)
            return [];
        using var scope = NewDisposeScope();
        StoredTensor?[] cores = new StoredTensor?[factors.Count];
        double[] errors = [.. Enumerable.Repeat(1.0, factors.Count)];
        Tensor? served = null;
        if (basis is not null)
        {
            Sigma[] best = form.Diagonal ? SigmaProjection.ProjectDiagonal(factors, basis) : SigmaProjection.Project(factors, basis);
            cores = [.. best.Select(s => StoredTensor.Of(s.Values, form.CoreDType, s.IsDiagonal ? [s.RankU] : [s.RankU, s.RankV]))];
            errors = [.. best.Select(s => s.RelSqError)];
            if (form.Residual > 0 || form.CoreDType != DType.F32)
                served = CoreError.Stack([.. cores.Select(c => c!.Widen())], basis.RankU, basis.RankV).to(factors.F.device);
            if (form.CoreDType != DType.F32)
                errors = [.. errors.Zip(CoreError.OfRounding(basis, best, served!), (error, added) => error + added)];
        }

        StoredPair?[] pairs = new StoredPair?[factors.Count];
        if (form.Residual > 0)
            (pairs, errors) = PrivateResiduals.Fit(factors, basis, served, form.Residual, form.DType, cancellation);
        return [.. Enumerable.Range(0, factors.Count).Select(i => new StoredProduct(factors.Owners[i], factors.Norms[i], errors[i], cores[i], pairs[i]))];
    }

    /// <summary>A product of zeros: a core of zeros where there is a basis, so that it is served as nothing.</summary>
    internal static StoredProduct Zero(int adapter, SharedBasis basis, StorageForm form)
    {
        Sigma zero = form.Diagonal ? Sigma.ZeroDiagonal(basis.RankU) : Sigma.Zero(basis.RankU, basis.RankV);
        return new StoredProduct(adapter, 0, 0, StoredTensor.Of(zero.Values, form.CoreDType, form.Diagonal ? [basis.RankU] : [basis.RankU, basis.RankV]), null);
    }
}
